/** What is said of one head in the model view: for the pointer, and for a screen reader. */

import { formatFigure, formatPercent } from "../data/format";
import type { LayerInfo } from "../source/trace-info";
import type { KeyHelp, TooltipRow } from "./view";

export const MODEL_HELP: readonly KeyHelp[] = [
  { keys: "← → ↑ ↓", does: "Go to another head" },
  { keys: "Home End", does: "Go to the first or last head of the layer" },
  { keys: "Enter or click", does: "Open the head in the head view" },
  { keys: "Shift+Enter or Shift+click", does: "Open the head in the matrix view" },
];

export function headTitle(layer: LayerInfo, head: number): string {
  return `Layer ${layer.index}, head ${layer.heads[head] ?? head}`;
}

export function headRows(layer: LayerInfo, item: number, head: number): TooltipRow[] {
  const figures = layer.statistics[item];
  if (figures === undefined) return [];
  const rows: TooltipRow[] = [
    { label: "Pattern", value: `${figures.pattern[head] ?? "–"} ${formatPercent(figures.patternShare[head] ?? null)}` },
    { label: "Entropy", value: `${formatFigure(figures.entropy[head])} bits` },
    { label: "Mean distance", value: `${formatFigure(figures.distance[head], 1)} tokens` },
    { label: "Largest weight, mean", value: formatFigure(figures.maxWeight[head]) },
  ];
  const kept = layer.kept?.[item]?.[head];
  return kept === undefined ? rows : [...rows, { label: "Held in this page", value: formatPercent(kept) }];
}

export function headSentence(layer: LayerInfo, item: number, head: number): string {
  const rows = headRows(layer, item, head).map(({ label, value }) => `${label} ${value}`);
  return [headTitle(layer, head), ...rows].join(", ");
}
