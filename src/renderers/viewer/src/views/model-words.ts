/** The model view's names and figures. */

import { formatFigure, formatPercent } from "../data/format";
import { visible } from "../data/tokens";
import type { LegendTick } from "../draw/legend";
import { LOG_DECADES } from "../draw/heatmap";
import { distanceUnit, groupOf, groupTitle } from "../shell/layers";
import type { LayerInfo, TraceInfo } from "../source/trace-info";
import type { HeadFigure, ThumbnailScale } from "../state/selection";
import type { ViewContext } from "./view";

export const ORDERS: readonly (readonly [HeadFigure, string])[] = [
  ["number", "number"],
  ["entropy", "entropy"],
  ["maxWeight", "mean maximum"],
  ["distance", "mean distance"],
  ["pattern", "pattern"],
];

export const SCALES: readonly (readonly [ThumbnailScale, string])[] = [
  ["root", "square root"],
  ["linear", "linear"],
  ["log", "logarithmic"],
];

/** What the button for the direction says: which heads come first. */
export function directionText(order: HeadFigure, descending: boolean): string {
  const words: Record<HeadFigure, readonly [string, string]> = {
    number: ["First to last", "First to last"],
    entropy: ["Sharpest first", "Broadest first"],
    maxWeight: ["Smallest first", "Largest first"],
    distance: ["Nearest first", "Farthest first"],
    pattern: ["Strongest first", "Weakest first"],
  };
  return words[order][descending ? 1 : 0];
}

/**
 * "Layer 3"; where layers belong to groups that are counted by themselves, "Cross 0". Where some layers of the run are
 * not held nobody can count a group's, and each has its number in the run.
 */
export function layerName(trace: TraceInfo, layer: number): string {
  const { groups, layers } = trace;
  const group = groupOf(trace, layer);
  const complete = layers.every(({ index }, place) => index === place);
  if (groups.length < 2 || group.name === "" || !complete) return `Layer ${layers[layer]?.index ?? layer}`;
  return `${groupTitle(group.name)} ${group.layers.indexOf(layer)}`;
}

/** Of `layerName`, the number. */
export function shortLayerName(trace: TraceInfo, layer: number): string {
  return layerName(trace, layer).replace(/^.* /, "");
}

export function headName(trace: TraceInfo, layer: number, head: number): string {
  return `${layerName(trace, layer)}, head ${trace.layers[layer]?.heads[head] ?? head}`;
}

export interface FigureRow {
  readonly label: string;
  readonly value: string;
}

/** What is known of a head, as in the details panel. */
export function headFigures(trace: TraceInfo, layer: LayerInfo, item: number, head: number): FigureRow[] {
  const statistics = layer.statistics[item];
  if (statistics === undefined) return [];
  const share = formatPercent(statistics.patternShare[head] ?? null);
  const rows: FigureRow[] = [{ label: "Pattern", value: `${statistics.pattern[head] ?? "–"} ${share}`.trim() }];
  rows.push({ label: "Entropy", value: `${formatFigure(statistics.entropy[head])} bits` });
  // Positions of two different texts have no distance.
  const unit = distanceUnit(trace.axes[layer.keyAxis]);
  if (layer.kind === "self") rows.push({ label: "Mean distance", value: `${formatFigure(statistics.distance[head], 1)} ${unit}` });
  rows.push({ label: "Mean maximum", value: formatFigure(statistics.maxWeight[head]) });
  const kept = layer.kept?.[item]?.[head];
  if (kept !== undefined) rows.push({ label: "Held in this page", value: formatPercent(kept) });
  return rows;
}

/** A figure as it stands below a small picture. */
export function figureText(order: HeadFigure, figure: number | null, pattern: string): string {
  if (order === "number") return "";
  if (order === "pattern") return pattern === "" ? "–" : `${formatPercent(figure)} ${pattern}`;
  return formatFigure(figure, order === "distance" ? 1 : 2);
}

/** A cell's name for a screen reader: "Layer 3, head 5: Pattern previous token 62 %, Entropy 2.10 bits, …". */
export function cellName(trace: TraceInfo, layer: number, item: number, head: number): string {
  const info = trace.layers[layer];
  const figures = info === undefined ? [] : headFigures(trace, info, item, head).map(({ label, value }) => `${label} ${value}`);
  const name = headName(trace, layer, head);
  return figures.length === 0 ? name : `${name}: ${figures.join(", ")}`;
}

/** The same for one head, as weights. */
export function weightTicks(scale: ThumbnailScale, max: number, format: (weight: number) => string): LegendTick[] {
  const rounded = (weight: number): string => String(Number(weight.toPrecision(1)));
  return legendTicks(scale).flatMap(({ share }) => {
    if (share === 0) return [{ share, text: scale === "log" ? `≤ ${rounded(max * 10 ** -LOG_DECADES)}` : "0" }];
    if (share === 1) return [{ share, text: format(max) }];
    const weight = Number(rounded(max * shareOf(scale, share)));
    const place = weight / max;
    return [{ share: scale === "root" ? Math.sqrt(place) : scale === "linear" ? place : 1 + Math.log10(place) / LOG_DECADES, text: rounded(weight) }];
  });
}

/** Of the largest weight, what stands at `share` of the colours. */
function shareOf(scale: ThumbnailScale, share: number): number {
  if (scale === "root") return share ** 2;
  return scale === "linear" ? share : 10 ** (LOG_DECADES * (share - 1));
}

/** Weights are coloured as shares of the head's largest one. */
export function legendTicks(scale: ThumbnailScale): LegendTick[] {
  if (scale === "log") {
    return Array.from({ length: LOG_DECADES + 1 }, (_, decade) => {
      const percent = Number((100 * 10 ** (decade - LOG_DECADES)).toPrecision(1));
      return { share: decade / LOG_DECADES, text: `${percent} %` };
    });
  }
  const shares = scale === "linear" ? [0, 0.5, 1] : [0, 0.1, 0.3, 1];
  return shares.map((share) => ({ share: scale === "linear" ? share : Math.sqrt(share), text: `${100 * share} %` }));
}

export const LEGEND_CAPTION = "of the head’s largest weight";

export function pictureTitle(context: Pick<ViewContext, "trace" | "store">, group: string): string {
  const { model } = context.trace;
  const { ranked, order, descending } = context.store.selection;
  const direction = directionText(order, descending).toLowerCase();
  const name = ORDERS.find(([value]) => value === order)?.[1] ?? order;
  const what = ranked ? `heads of all layers by ${name}, ${direction}` : "attention of every layer and head";
  return visible([model, group, what].filter((part) => part !== "").join(", "));
}
