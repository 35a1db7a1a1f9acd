/** The head view's sentences and labels. */

import { grouped } from "../data/format";
import { precisionText } from "../data/precision";
import { isolated } from "../draw/rulers";
import { groupOf } from "../shell/layers";
import { boundText } from "../shell/numbers";
import type { TraceInfo } from "../source/trace-info";
import type { TooltipRow, ViewContext } from "./view";
import { isKnown, strongestRows, type Figures } from "./head-figures";
import type { ColumnToken } from "../draw/token-column";

const ANNOUNCED = 3;

export interface Headings {
  readonly query: string;
  readonly key: string;
}

export function headingsOf(context: ViewContext): Headings {
  const { queryAxis, keyAxis } = context.layer();
  if (queryAxis === keyAxis) return { query: "Attending (queries)", key: "Attended (keys)" };
  return { query: `Attending: ${queryAxis}`, key: `Attended: ${keyAxis}` };
}

/** Where columns stand close together. */
export function shortHeadings(context: ViewContext): Headings {
  const { queryAxis, keyAxis } = context.layer();
  if (queryAxis === keyAxis) return { query: "Queries", key: "Keys" };
  return { query: `Queries: ${queryAxis}`, key: `Keys: ${keyAxis}` };
}

/** "BertModel, layer 3 (encoder.layer.3): heads 0, 5", or "BertModel, mean of 12 layers: all 12 heads". */
export function pictureTitle(context: ViewContext): string {
  const layer = context.layer();
  const { model } = context.trace;
  const series = context.reader.series();
  const all = series.length === layer.heads.length && series.length > 1;
  const what = all ? `all ${series.length} heads` : series.map(({ label }) => label.replace(MEAN_OF_LAYERS, "")).join(", ");
  return `${model === "" ? "" : `${model}, `}${whichLayers(context, series[0]?.layers.length ?? 1)}: ${what}`;
}

/** How the reader's labels begin where several layers are averaged; the title says it once for all heads. */
const MEAN_OF_LAYERS = /^mean of \d+ layers, /;

function whichLayers(context: ViewContext, averaged: number): string {
  const { index, name } = context.layer();
  if (averaged < 2) return `layer ${index} (${name})`;
  const group = groupOf(context.trace, context.store.selection.layer).name;
  return `mean of ${averaged} layers${group === "" ? "" : ` (${group})`}`;
}

/** How exact the numbers of a picture are, for one that is on its own. */
export function precisionSentence({ precision }: Pick<TraceInfo, "precision">): string {
  const text = precisionText(precision);
  return text === "" ? "" : `Weights: ${text}.`.replace("..", ".");
}

/** What the numbers beside the tokens are. */
export function figuresCaption(figures: Figures | null, labels: readonly string[]): string {
  if (figures === null) return "";
  return labels.length === 1 ? (labels[0] ?? "").replace(/ heads$/, "") : `mean of ${labels.length}`;
}

/** One series' weight of a pair of tokens: null while it is not there. */
export interface PairWeight {
  readonly label: string;
  readonly colour: string;
  readonly weight: number | null;
  readonly most: number;
}

/** More rows than this would hide what they are about; the details list all of them. */
const MOST_PAIR_ROWS = 5;

/** A pair's weights for the tooltip: the series that is pointed at, then the strongest others, then how many are left. */
export function pairRows(context: Pick<ViewContext, "format">, weights: readonly PairWeight[], first: number | null): TooltipRow[] {
  const size = ({ weight }: PairWeight): number => (weight === null || Number.isNaN(weight) ? -1 : weight);
  const pointed = first === null ? undefined : weights[first];
  const others = weights.filter((entry) => entry !== pointed).sort((left, right) => size(right) - size(left));
  const order = pointed === undefined ? others : [pointed, ...others];
  const shown = order.slice(0, order.length <= MOST_PAIR_ROWS + 1 ? order.length : MOST_PAIR_ROWS);
  const rows = shown.map((entry): TooltipRow => {
    const value = entry.weight === null ? "…" : context.format(entry.weight, entry.most);
    return { label: entry.label, value, share: Math.min(1, Math.max(0, size(entry))), colour: entry.colour };
  });
  const rest = order.slice(shown.length);
  if (rest.length === 0) return rows;
  return [...rows, { label: `${rest.length} others`, value: boundOf(context, rest) }];
}

/** What all of these weights are at most; "" where one of them is not known at all. */
function boundOf(context: Pick<ViewContext, "format">, weights: readonly PairWeight[]): string {
  const largest = Math.max(...weights.map(({ weight, most }) => (weight === null ? Number.NaN : most)));
  if (!(largest >= 0)) return "";
  const isHeld = weights.some(({ weight }) => weight === largest);
  return isHeld ? `≤ ${context.format(largest)}`.replace("≤ <", "<") : `< ${boundText(largest)}`;
}

export function pairTitle(query: ColumnToken | undefined, key: ColumnToken | undefined): string {
  return `${quoted(query)} → ${quoted(key)}`;
}

/** What a screen reader is told of the token that the keyboard has come to. */
export function announcement(context: ViewContext, figures: Figures | null, others: (row: number) => ColumnToken | undefined): string {
  if (figures === null) return "";
  const rows = strongestRows(figures.mean, ANNOUNCED);
  if (rows.length === 0) return figures.kind === "query" ? "attends to nothing shown" : "attended by nothing shown";
  const list = rows.map((row) => {
    const mean = figures.mean[row] ?? Number.NaN;
    return `${quoted(others(row))} ${context.format(mean, isKnown(figures, row) ? mean : figures.most[row])}`;
  });
  return `${figures.kind === "query" ? "attends to" : "attended by"} ${list.join(", ")}`;
}

/** What a picture holds, for the sentence below it. */
export interface Drawn {
  readonly drawn: number;
  readonly found: number;
  readonly threshold: number;
  /** A single token's strongest lines that are drawn for each series in any case; 0 where all tokens are shown. */
  readonly always: number;
  readonly series: number;
}

/** What is in the picture and what is not, and why. */
export function drawnSentence({ drawn, found, threshold, always, series }: Drawn): string {
  const lines = `${grouped(drawn)} ${drawn === 1 ? "line" : "lines"}`;
  const least = String(Number(threshold.toPrecision(2)));
  if (always > 0) {
    const strongest = series === 1 ? `The strongest ${always}` : `Each head’s strongest ${always}`;
    return threshold > 0 ? `${strongest} and all weights from ${least}: ${lines}.` : `All weights: ${lines}.`;
  }
  const from = threshold > 0 ? `weights from ${least}` : "all weights";
  if (drawn < found) return `The strongest ${grouped(drawn)} of ${grouped(found)} lines; ${from}.`;
  return `${lines} from tokens in sight; ${from}.`;
}

function quoted(token: ColumnToken | undefined): string {
  return token === undefined ? "" : `“${isolated(token.text)}” ${token.position}`;
}
