/** In which order the heads of a layer stand, and which of them a filter leaves bright. */

import type { LayerInfo, StatisticsInfo, TraceInfo } from "../source/trace-info";
import type { HeadFigure } from "../state/selection";

/** Places of the layer's heads in the order of a figure, the largest first; heads without that figure come last. */
export function orderedHeads(layer: LayerInfo, item: number, order: HeadFigure): number[] {
  const heads = layer.heads.map((_, head) => head);
  const figures = layer.statistics[item];
  if (order === "number" || figures === undefined) return heads;
  if (order === "pattern") return heads.sort((left, right) => byPattern(figures, left, right));
  return heads.sort((left, right) => (figures[order][right] ?? -1) - (figures[order][left] ?? -1) || left - right);
}

/** Heads of the same pattern stand together, the clearest first. */
function byPattern(figures: StatisticsInfo, left: number, right: number): number {
  const names = (figures.pattern[left] ?? "").localeCompare(figures.pattern[right] ?? "");
  return names || (figures.patternShare[right] ?? 0) - (figures.patternShare[left] ?? 0) || left - right;
}

export function hasPattern(layer: LayerInfo, item: number, head: number, pattern: string): boolean {
  return pattern === "" || layer.statistics[item]?.pattern[head] === pattern;
}

/** Every pattern that some head of the trace shows, in the order of the alphabet. */
export function patternsIn(trace: TraceInfo, item: number): string[] {
  const names = trace.layers.flatMap((layer) => layer.statistics[item]?.pattern ?? []);
  return [...new Set(names)].sort();
}

export interface ThumbnailSize {
  readonly side: number;
  readonly gap: number;
}

/** Thumbnails as large as the room allows, so that all layers are seen at once where they can be. */
export function thumbnailSize(width: number, height: number, columns: number, rows: number): ThumbnailSize {
  const gap = columns > 24 ? 3 : 6;
  const across = Math.floor(width / Math.max(1, columns)) - gap;
  const down = Math.floor(height / Math.max(1, rows)) - gap;
  return { side: Math.max(28, Math.min(across, Math.max(64, down), 220)), gap };
}
