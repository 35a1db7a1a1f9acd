/** Which heads of a layer come first in the model view, and which of them stand back. */

import type { LayerInfo, StatisticsInfo } from "../source/trace-info";
import type { HeadFigure } from "../state/selection";

/** Places of a layer's heads in the order of a figure, smallest first; heads without one come last. */
export function orderedHeads(layer: LayerInfo, item: number, order: HeadFigure): number[] {
  const places = layer.heads.map((_, place) => place);
  const statistics = layer.statistics[item];
  if (order === "number" || statistics === undefined) return places;
  if (order === "pattern") return places.sort((left, right) => comparePatterns(statistics, left, right) || left - right);
  const figures = order === "entropy" ? statistics.entropy : statistics.distance;
  const rank = (place: number): number => figures[place] ?? Number.POSITIVE_INFINITY;
  return places.sort((left, right) => compare(rank(left), rank(right)) || left - right);
}

/** By name, so that the same pattern stands together; the strongest first. */
function comparePatterns(statistics: StatisticsInfo, left: number, right: number): number {
  const [leftName, rightName] = [statistics.pattern[left] ?? "", statistics.pattern[right] ?? ""];
  if (leftName !== rightName) return compare(patternRank(leftName), patternRank(rightName)) || leftName.localeCompare(rightName);
  return compare(statistics.patternShare[right] ?? -1, statistics.patternShare[left] ?? -1);
}

/** What says least about a head comes last. */
function patternRank(name: string): number {
  return ["broad", "mixed", "no rows"].indexOf(name) + 1;
}

/** Unlike a difference, this compares infinities too. */
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

/** Layer names without what all of them begin and end with, cut at dots: "encoder.layer.3.attention" becomes "3". */
export function shortNames(names: readonly string[]): string[] {
  const parts = names.map((name) => name.split("."));
  const [first] = parts;
  if (first === undefined || names.length < 2) return [...names];
  const shortest = Math.min(...parts.map((path) => path.length));
  let start = 0;
  while (start < shortest && parts.every((path) => path[start] === first[start])) start += 1;
  let end = 0;
  while (end < shortest - start && parts.every((path) => path.at(-1 - end) === first.at(-1 - end))) end += 1;
  return parts.map((path) => path.slice(start, path.length - end).join("."));
}
