/** The numbers of one token: what each head gives, and the largest weights in order. */

import { grouped } from "../data/format";
import { isLeftOut } from "../data/weights";
import { seriesColour } from "../draw/colours";
import type { AxisInfo } from "../source/trace-info";
import { element, refill, type Child } from "./dom";
import { boundText } from "./numbers";
import type { PointedWeights, Row } from "./pointed-weights";
import { largest, meanOf } from "./ranking";
import type { Shell } from "./shell";
import { token, tokenText } from "./token-text";
import { WeightLines, type WeightLine } from "./weight-lines";

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

/** The section about a token. It is kept and written anew for the next: the pointer moves fast. */
export class TokenSection {
  readonly element: HTMLElement;
  private readonly heading = element("h3", { class: "attn-token-line" });
  private readonly origin = element("p", { class: "attn-muted attn-small" });
  private readonly rankedTitle = newCaption();
  private readonly ranked = new WeightLines("places");
  private readonly note = element("p", { class: "attn-muted attn-small" });
  private readonly headsTitle = newCaption();
  private readonly heads = new WeightLines("heads");

  constructor(private readonly shell: Shell) {
    this.heads.element.setAttribute("aria-label", "Each head's weight");
    const { heading, origin, rankedTitle, ranked, note, headsTitle, heads } = this;
    const parts = [heading, origin, rankedTitle.element, ranked.element, note, headsTitle.element, heads.element];
    this.element = element("section", { class: "attn-section", "aria-label": "Token" }, ...parts);
  }

  show(weights: PointedWeights): void {
    const { shell } = this;
    const { pointed, rows, series } = weights;
    refill(this.heading, ...tokenLine(shell, weights));
    this.origin.textContent = originText(axes(shell, weights).own, pointed.position);
    this.origin.hidden = this.origin.textContent === "";
    this.rankedTitle.what.data = pointed.side === "query" ? "Attends most to" : "Attended most by";
    this.rankedTitle.of.data = rows.length > 1 ? `mean of ${rows.length} heads` : (series[0]?.label ?? "");
    const { lines, note } = rankedLines(shell, weights);
    this.ranked.show(lines);
    this.ranked.element.hidden = lines.length === 0;
    this.note.textContent = note;
    this.note.hidden = note === "";
    this.headsTitle.what.data = pointed.other === null ? "Each head's largest" : "Each head";
    this.headsTitle.element.hidden = this.heads.element.hidden = rows.length < 2;
    this.heads.show(rows.length < 2 ? [] : headLines(shell, weights));
  }
}

function newCaption(): { element: HTMLElement; what: Text; of: Text } {
  const [what, of] = [new Text(), new Text()];
  return { element: element("h4", { class: "attn-caption" }, what, element("span", { class: "attn-muted" }, of)), what, of };
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

/** Where the token came from, of a generation. */
function originText({ steps }: AxisInfo, position: number): string {
  const step = steps?.[position];
  if (step === undefined) return "";
  return step === 0 ? "Of the prompt." : `Written by generation step ${step}.`;
}

function place(position: number): HTMLElement {
  return element("span", { class: "attn-place attn-number attn-muted" }, String(position));
}

/** What each head gives to the other token; to its own largest one where none is pointed at. */
function headLines(shell: Shell, weights: PointedWeights): WeightLine[] {
  const { pointed, series, rows } = weights;
  const { other, listed } = axes(shell, weights);
  const { item } = shell.store.selection;
  const total = shell.context.layer().heads.length;
  const shown = rows.map((row) => headWeight(row, listed, pointed.other));
  const longest = Math.max(0, ...shown.map(({ weight }) => weight || 0));
  return shown.map(({ at, weight, most }, index) => {
    const entry = series[index];
    return {
      token: at === null || pointed.other !== null ? null : tokenText(other, item, at),
      name: shortLabel(entry?.label ?? ""),
      colour: entry === undefined ? null : seriesColour(shell.context.colours(), entry, total),
      share: weight / longest,
      title: entry?.label ?? null,
      ...numberOf(shell, weight, most),
    };
  });
}

/** The weight at `other`, or the largest where that is null; and where it is. */
function headWeight(row: Row, listed: readonly number[], other: number | null): { at: number | null; weight: number; most: number } {
  const at = other ?? largest(row.values, listed, 1)[0]?.position ?? null;
  if (at !== null) return { at, weight: row.values[at] ?? Number.NaN, most: row.most[at] ?? Number.NaN };
  if (listed.length > 0 && listed.every((position) => isNotANumber(row, position))) return { at, weight: Number.NaN, most: Number.NaN };
  const left = leftOut(row, listed);
  return left === null ? { at, weight: 0, most: 0 } : { at, weight: Number.NaN, most: left };
}

function shortLabel(label: string): string {
  return label.replace(/^.*head /, "");
}

/** The largest weights, and what there is to say of the others. */
function rankedLines(shell: Shell, weights: PointedWeights): { lines: WeightLine[]; note: string } {
  const { other, listed } = axes(shell, weights);
  const { item } = shell.store.selection;
  const { values, most } = meanOf(weights.rows);
  const ranked = largest(values, listed, LISTED);
  const [only] = weights.series;
  const colour = only === undefined ? null : seriesColour(shell.context.colours(), weights.series.length === 1 ? only : MEAN, shell.context.layer().heads.length);
  const lines = ranked.map(({ position, weight }) => ({
    token: tokenText(other, item, position),
    name: String(position),
    colour,
    share: weight / (ranked[0]?.weight ?? 1),
    title: null,
    ...numberOf(shell, weight, most[position] ?? weight),
  }));
  return { lines, note: [othersNote(shell, { values, most }, listed, lines.length > 0), missingNote({ values, most }, listed)].filter(Boolean).join(" ") };
}

function othersNote(shell: Shell, row: Row, listed: readonly number[], some: boolean): string {
  const left = leftOut(row, listed);
  if (left === null) return some || listed.some((position) => isNotANumber(row, position)) ? "" : "No weight above 0.";
  const bound = boundText(left);
  if (shell.trace.precision.kind === "top") return `${some ? "Other weights are" : "No weight is held: all are"} below ${bound} where this file leaves them out.`;
  if (some) return `Weights that are not known are below ${bound}: this file rounds them off.`;
  return `No weight is known: all are below ${bound}. Too little is left of this row for this file’s precision.`;
}

/** The model's own not-a-numbers, as of a run that has diverged. */
function missingNote(row: Row, listed: readonly number[]): string {
  const missing = listed.filter((position) => isNotANumber(row, position)).length;
  if (missing === 0) return "";
  return missing === listed.length ? "No weight is a number." : `Not a number: ${grouped(missing)} of ${grouped(listed.length)} weights.`;
}

function isNotANumber({ values, most }: Row, position: number): boolean {
  const [value, bound] = [values[position] ?? Number.NaN, most[position] ?? Number.NaN];
  return Number.isNaN(value) && !isLeftOut(value, bound);
}

/** What every listed weight that is not held is below; null where all are held. */
function leftOut({ values, most }: Row, listed: readonly number[]): number | null {
  let bound: number | null = null;
  for (const position of listed) {
    const at = most[position] ?? Number.NaN;
    if (isLeftOut(values[position] ?? Number.NaN, at)) bound = Math.max(bound ?? 0, at);
  }
  return bound;
}

function numberOf(shell: Shell, weight: number, most: number): { sign: string; number: string; whole: string | null } {
  const whole = shell.context.format(weight, most);
  const text = isLeftOut(weight, most) ? `< ${boundText(most)}` : whole;
  const sign = /^[<≥] /.exec(text)?.[0] ?? "";
  return { sign, number: text.slice(sign.length), whole: text === whole ? null : whole };
}
