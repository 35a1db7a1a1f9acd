/** The numbers of one token: what each head gives, and the largest weights in order. */

import { isLeftOut } from "../data/weights";
import { seriesColour } from "../draw/colours";
import type { AxisInfo } from "../source/trace-info";
import { bar, swatch } from "./bars";
import { element, type Child } from "./dom";
import { boundText } from "./numbers";
import type { PointedWeights, Row } from "./pointed-weights";
import { largest, meanOf } from "./ranking";
import type { Shell } from "./shell";
import { token } from "./token-text";

/** A series of several heads: it is drawn in ink. */
const MEAN = { colour: 0, heads: [0, 1] };

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
  const shown = rows.map((row) => headWeight(row, listed, pointed.other));
  const longest = Math.max(0, ...shown.map(({ weight }) => weight || 0));
  shown.forEach(({ at, weight, most }, index) => {
    const entry = series[index];
    const colour = entry === undefined ? null : seriesColour(shell.context.colours(), entry, total);
    const name = element("span", { class: "attn-head-name attn-number" }, swatch(colour), shortLabel(entry?.label ?? ""));
    const towards = at === null || pointed.other !== null ? null : token(other, item, at);
    const words = element("span", { class: "attn-weight-label" }, name, towards);
    list.append(element("li", { title: entry?.label ?? null }, words, bar(weight / longest, colour), number(shell, weight, most)));
  });
  const title = pointed.other === null ? "Each head's largest" : "Each head";
  return element("div", {}, caption(title, ""), list);
}

/** The weight at `other`, or the largest where that is null; and where it is. */
function headWeight(row: Row, listed: readonly number[], other: number | null): { at: number | null; weight: number; most: number } {
  const at = other ?? largest(row.values, listed, 1)[0]?.position ?? null;
  if (at === null) return { at, weight: 0, most: 0 };
  return { at, weight: row.values[at] ?? Number.NaN, most: row.most[at] ?? Number.NaN };
}

function shortLabel(label: string): string {
  return label.replace(/^.*head /, "");
}

function rankedList(shell: Shell, weights: PointedWeights): HTMLElement {
  const { other, listed } = axes(shell, weights);
  const { item } = shell.store.selection;
  const list = element("ol", { class: "attn-weights" });
  const { values, most } = meanOf(weights.rows);
  const ranked = largest(values, listed, LISTED);
  const [only] = weights.series;
  const colour = only === undefined ? null : seriesColour(shell.context.colours(), weights.series.length === 1 ? only : MEAN, shell.context.layer().heads.length);
  for (const { position, weight } of ranked) {
    const label = element("span", { class: "attn-weight-label" }, token(other, item, position), place(position));
    list.append(element("li", {}, label, bar(weight / (ranked[0]?.weight ?? 1), colour), number(shell, weight, most[position] ?? weight)));
  }
  const left = leftOut(values, most, listed);
  if (left === null) return ranked.length > 0 ? list : element("p", { class: "attn-muted" }, "No weight above 0.");
  const others = `${ranked.length > 0 ? "Other weights are" : "No weight is held:"} below ${boundText(left)} where this file leaves them out.`;
  return element("div", {}, list, element("p", { class: "attn-muted attn-small" }, others));
}

/** What every listed weight that is not held is below; null where all are held. */
function leftOut(values: Float32Array, most: Float32Array, listed: readonly number[]): number | null {
  let bound: number | null = null;
  for (const position of listed) {
    const at = most[position] ?? Number.NaN;
    if (isLeftOut(values[position] ?? Number.NaN, at)) bound = Math.max(bound ?? 0, at);
  }
  return bound;
}

/** The "<" or "≥" of a bound hangs before the column, so that all points stand in one line. */
function number(shell: Shell, weight: number, most: number): HTMLElement {
  const whole = shell.context.format(weight, most);
  const text = isLeftOut(weight, most) ? `< ${boundText(most)}` : whole;
  const sign = /^[<≥] /.exec(text)?.[0] ?? "";
  const bound = sign === "" ? null : element("span", { class: "attn-bound" }, sign);
  return element("span", { class: "attn-number attn-weight", title: text === whole ? null : whole }, bound, text.slice(sign.length));
}
