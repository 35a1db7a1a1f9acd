/** Which heads of a layer come first in the model view, and which of them stand back. */

import type { LayerInfo, TraceInfo } from "../source/trace-info";
import type { HeadFigure } from "../state/selection";

/** Places of a layer's heads in the order of a figure, the smallest first unless descending; heads without one come last. */
export function orderedHeads(layer: LayerInfo, item: number, order: HeadFigure, descending = false): number[] {
  const places = layer.heads.map((_, place) => place);
  if (order === "number" || layer.statistics[item] === undefined) return places;
  const keys = places.map((place) => keyOf(layer, item, order, place));
  return places.sort((left, right) => compareKeys(keys[left]!, keys[right]!, descending) || left - right);
}

/** The heads of several layers in one order. */
export function rankedHeads(
  trace: Pick<TraceInfo, "layers">, layers: readonly number[], item: number, order: HeadFigure, descending: boolean,
): { layer: number; head: number }[] {
  const heads = layers.flatMap((layer) => {
    const info = trace.layers[layer];
    return (info?.heads ?? []).map((_, head) => ({ layer, head, key: keyOf(info!, item, order, head) }));
  });
  // Sorting keeps the order of equal ones, which is that of the layers.
  return heads.sort((left, right) => compareKeys(left.key, right.key, descending)).map(({ layer, head }) => ({ layer, head }));
}

/** The figure of a head by which it is ordered; null where it has none, and for orders that are no figure. */
export function figureOf(layer: LayerInfo, item: number, order: HeadFigure, head: number): number | null {
  const statistics = layer.statistics[item];
  if (statistics === undefined || order === "number") return null;
  const figures = { entropy: statistics.entropy, distance: statistics.distance, maxWeight: statistics.maxWeight, pattern: statistics.patternShare };
  return figures[order][head] ?? null;
}

/** Where a head stands: by the name of its pattern first, and then by a figure. */
interface OrderKey {
  readonly name: string;
  readonly figure: number | null;
}

function keyOf(layer: LayerInfo, item: number, order: HeadFigure, head: number): OrderKey {
  const figure = figureOf(layer, item, order, head);
  if (order !== "pattern") return { name: "", figure };
  // The strongest of a pattern come first.
  return { name: layer.statistics[item]?.pattern[head] ?? "", figure: figure === null ? null : -figure };
}

/** The order of patterns stays when heads are turned around; heads without a figure come last both ways. */
function compareKeys(left: OrderKey, right: OrderKey, descending: boolean): number {
  if (left.name !== right.name) return compare(patternRank(left.name), patternRank(right.name)) || left.name.localeCompare(right.name);
  if (left.figure === null || right.figure === null) return Number(left.figure === null) - Number(right.figure === null);
  return descending ? compare(right.figure, left.figure) : compare(left.figure, right.figure);
}

/** What says least about a head comes last. */
function patternRank(name: string): number {
  return ["broad", "mixed", "no rows"].indexOf(name) + 1;
}

function compare(left: number, right: number): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

export function matchesPattern(layer: LayerInfo, item: number, head: number, pattern: string): boolean {
  return pattern === "" || layer.statistics[item]?.pattern[head] === pattern;
}

/** The patterns among some layers' heads and how many heads have each, the most frequent first. */
export function patternCounts(layers: readonly LayerInfo[], item: number): [string, number][] {
  const counts = new Map<string, number>();
  for (const layer of layers) {
    for (const pattern of layer.statistics[item]?.pattern ?? []) counts.set(pattern, (counts.get(pattern) ?? 0) + 1);
  }
  return [...counts].sort(([leftName, left], [rightName, right]) => right - left || leftName.localeCompare(rightName));
}
