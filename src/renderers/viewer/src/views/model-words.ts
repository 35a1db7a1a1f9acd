/** The model view's names and figures. */

import { formatFigure, formatPercent } from "../data/format";
import { visible } from "../data/tokens";
import type { LegendTick } from "../draw/legend";
import { LOG_DECADES } from "../draw/heatmap";
import type { LayerInfo } from "../source/trace-info";
import type { HeadFigure, WeightScale } from "../state/selection";
import type { TooltipRow, ViewContext } from "./view";

export const ORDERS: readonly (readonly [HeadFigure, string])[] = [
  ["number", "number"],
  ["entropy", "entropy, lowest first"],
  ["distance", "distance, nearest first"],
  ["pattern", "pattern"],
];

export function headName(layer: LayerInfo, head: number): string {
  return `Layer ${layer.index}, head ${layer.heads[head] ?? head}`;
}

/** What is known of a head, as in the details panel. */
export function headFigures(layer: LayerInfo, item: number, head: number): TooltipRow[] {
  const statistics = layer.statistics[item];
  if (statistics === undefined) return [];
  const rows: TooltipRow[] = [{ label: statistics.pattern[head] ?? "", value: formatPercent(statistics.patternShare[head] ?? null) }];
  rows.push({ label: "Entropy", value: `${formatFigure(statistics.entropy[head])} bits` });
  // Positions of two different texts have no distance.
  if (layer.kind === "self") rows.push({ label: "Mean distance", value: `${formatFigure(statistics.distance[head], 1)} tokens` });
  rows.push({ label: "Largest weight, mean", value: formatFigure(statistics.maxWeight[head]) });
  const kept = layer.kept?.[item]?.[head];
  if (kept !== undefined) rows.push({ label: "Held in this page", value: formatPercent(kept) });
  return rows;
}

/** A cell's name for a screen reader: "Layer 3, head 5: previous token 62 %, Entropy 2.10 bits, …". */
export function cellName(layer: LayerInfo, item: number, head: number): string {
  const figures = headFigures(layer, item, head).map(({ label, value }) => `${label} ${value}`);
  return figures.length === 0 ? headName(layer, head) : `${headName(layer, head)}: ${figures.join(", ")}`;
}

/** Weights are coloured as shares of the head's largest one. */
export function legendTicks(scale: WeightScale): LegendTick[] {
  if (scale === "linear") return [0, 0.5, 1].map((share) => ({ share, text: `${100 * share} %` }));
  return Array.from({ length: LOG_DECADES + 1 }, (_, decade) => {
    const percent = Number((100 * 10 ** (decade - LOG_DECADES)).toPrecision(1));
    return { share: decade / LOG_DECADES, text: `${percent} %` };
  });
}

export const LEGEND_CAPTION = "of the head's largest weight";

export function pictureTitle(context: ViewContext, group: string): string {
  const { model } = context.trace;
  return visible([model, group, "attention of every layer and head"].filter((part) => part !== "").join(", "));
}
