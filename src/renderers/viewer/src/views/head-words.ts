/** The head view's sentences and labels. */

import type { TooltipRow, ViewContext } from "./view";
import { strongestRows, type Figures } from "./head-figures";
import type { ColumnToken } from "../draw/token-column";

const ANNOUNCED = 3;

export interface Headings {
  readonly query: string;
  readonly key: string;
}

export function headingsOf(context: ViewContext): Headings {
  const { queryAxis, keyAxis } = context.layer();
  if (queryAxis === keyAxis) return { query: "Attending (queries)", key: "Attended (keys)" };
  return { query: `Attending: ${queryAxis} (queries)`, key: `Attended: ${keyAxis} (keys)` };
}

/** "BertModel, layer 3 (encoder.layer.3): heads 0, 5". */
export function pictureTitle(context: ViewContext): string {
  const layer = context.layer();
  const { model } = context.trace;
  const series = context.reader.series();
  const all = series.length === layer.heads.length && series.length > 1;
  const what = all ? `all ${series.length} heads` : series.map(({ label }) => label).join(", ");
  return `${model === "" ? "" : `${model}, `}layer ${layer.index} (${layer.name}): ${what}`;
}

/** What the numbers beside the tokens are. */
export function figuresCaption(figures: Figures | null, labels: readonly string[]): string {
  if (figures === null) return "";
  return labels.length === 1 ? (labels[0] ?? "") : `mean of ${labels.length}`;
}

/** Each series' weight of one pair, for the tooltip. */
export function pairRows(
  context: ViewContext,
  labels: readonly string[],
  colours: readonly string[],
  weights: readonly (number | null)[],
): TooltipRow[] {
  return labels.map((label, place) => {
    const weight = weights[place] ?? null;
    const colour = colours[place];
    const value = weight === null ? "…" : context.format(weight);
    const share = weight === null || Number.isNaN(weight) ? 0 : Math.min(1, Math.max(0, weight));
    return { label, value, share, ...(colour === undefined ? {} : { colour }) };
  });
}

export function pairTitle(query: ColumnToken | undefined, key: ColumnToken | undefined): string {
  return `${quoted(query)} → ${quoted(key)}`;
}

/** What a screen reader is told of the token that the keyboard has come to. */
export function announcement(context: ViewContext, figures: Figures | null, others: (row: number) => ColumnToken | undefined): string {
  if (figures === null) return "";
  const rows = strongestRows(figures.mean, ANNOUNCED);
  if (rows.length === 0) return figures.kind === "query" ? "attends to nothing shown" : "attended by nothing shown";
  const list = rows.map((row) => `${quoted(others(row))} ${context.format(figures.mean[row] ?? Number.NaN)}`);
  return `${figures.kind === "query" ? "attends to" : "attended by"} ${list.join(", ")}`;
}

/** What is not in the picture, and why. */
export function drawnSentence(context: ViewContext, drawn: number, found: number, threshold: number): string {
  const number = (count: number): string => count.toLocaleString("en");
  const kept = threshold > 0 ? `Weights below ${context.format(threshold)} are not drawn. ` : "";
  if (drawn < found) return `${kept}The strongest ${number(drawn)} of ${number(found)} lines in sight are drawn.`;
  return `${kept}${number(drawn)} ${drawn === 1 ? "line" : "lines"} in sight.`;
}

function quoted(token: ColumnToken | undefined): string {
  return token === undefined ? "" : `“${token.text}” ${token.position}`;
}
