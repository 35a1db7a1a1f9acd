/** The numbers of one token: what each head gives, and the largest weights in order. */

import type { AxisInfo } from "../source/trace-info";
import { bar, swatch } from "./bars";
import { element, type Child } from "./dom";
import type { PointedWeights } from "./pointed-weights";
import { largest, meanOf } from "./ranking";
import type { Shell } from "./shell";
import { token } from "./token-text";

/** How many of the largest weights are listed. */
const LISTED = 10;

export function hint(shell: Shell): HTMLElement {
  const text =
    shell.view().name === "model"
      ? "Point at a head to see its figures; click it to open it."
      : "Point at a token to see its numbers. Click it to pin it.";
  return element("p", { class: "attn-hint attn-muted" }, text);
}

export function tokenSection(shell: Shell, weights: PointedWeights): HTMLElement {
  const { pointed, rows } = weights;
  const heading = element("h3", { class: "attn-token-line" }, ...tokenLine(shell, weights));
  const section = element("section", { class: "attn-section", "aria-label": "Token" }, heading);
  const other = pointed.side === "query" ? "Attends most to" : "Attended most by";
  section.append(caption(other, rows.length > 1 ? `mean of ${rows.length} heads` : (weights.series[0]?.label ?? "")));
  section.append(rankedList(shell, weights));
  if (rows.length > 1) section.append(headBars(shell, weights));
  return section;
}

function axes(shell: Shell, { pointed }: PointedWeights): { own: AxisInfo; other: AxisInfo; listed: readonly number[] } {
  const { context, reader } = shell;
  return pointed.side === "query"
    ? { own: context.queryAxis(), other: context.keyAxis(), listed: reader.keys() }
    : { own: context.keyAxis(), other: context.queryAxis(), listed: reader.queries() };
}

/** "cat 2 → sat 3", or the token alone. */
function tokenLine(shell: Shell, weights: PointedWeights): Child[] {
  const { pointed } = weights;
  const { own, other } = axes(shell, weights);
  const { item } = shell.store.selection;
  const line: Child[] = [token(own, item, pointed.position), place(pointed.position)];
  if (pointed.other !== null) {
    line.push(element("span", { class: "attn-arrow", "aria-label": "to" }, "→"));
    line.push(token(other, item, pointed.other), place(pointed.other));
  }
  return line;
}

function place(position: number): HTMLElement {
  return element("span", { class: "attn-place attn-number attn-muted" }, String(position));
}

function caption(title: string, of: string): HTMLElement {
  return element("h4", { class: "attn-caption" }, title, element("span", { class: "attn-muted" }, of));
}

/** What each head gives to the other token; to its own largest one where none is pointed at. */
function headBars(shell: Shell, weights: PointedWeights): HTMLElement {
  const { pointed, series, rows } = weights;
  const { other, listed } = axes(shell, weights);
  const { item } = shell.store.selection;
  const total = shell.context.layer().heads.length;
  const list = element("ul", { class: "attn-weights", "aria-label": "Each head's weight" });
  rows.forEach((row, index) => {
    const entry = series[index];
    const best = pointed.other === null ? largest(row, listed, 1)[0] : undefined;
    const weight = best?.weight ?? (pointed.other === null ? 0 : (row[pointed.other] ?? Number.NaN));
    const colour = shell.context.colours().head(entry?.colour ?? 0, total);
    const name = element("span", { class: "attn-head-name attn-number" }, swatch(colour), shortLabel(entry?.label ?? ""));
    const towards = best === undefined ? null : token(other, item, best.position);
    const words = element("span", { class: "attn-weight-label" }, name, towards);
    list.append(element("li", { title: entry?.label ?? null }, words, bar(weight, colour), number(shell, weight)));
  });
  const title = pointed.other === null ? "Each head's largest" : "Each head";
  return element("div", {}, caption(title, ""), list);
}

function shortLabel(label: string): string {
  return label.replace(/^head /, "");
}

function rankedList(shell: Shell, weights: PointedWeights): HTMLElement {
  const { other, listed } = axes(shell, weights);
  const { item } = shell.store.selection;
  const list = element("ol", { class: "attn-weights" });
  const ranked = largest(meanOf(weights.rows), listed, LISTED);
  for (const { position, weight } of ranked) {
    const label = element("span", { class: "attn-weight-label" }, token(other, item, position), place(position));
    list.append(element("li", {}, label, bar(weight, null), number(shell, weight)));
  }
  return ranked.length > 0 ? list : element("p", { class: "attn-muted" }, "No weight above 0.");
}

function number(shell: Shell, weight: number): HTMLElement {
  return element("span", { class: "attn-number attn-weight" }, shell.context.format(weight));
}
