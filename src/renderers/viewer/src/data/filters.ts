/** Which positions of an axis are listed, and which keys' weights are taken out of the sums. */

import type { AxisInfo } from "../source/trace-info";
import type { PairFilter, Selection } from "../state/selection";

export type Filters = Pick<Selection, "special" | "sink" | "pair">;

/** The first position that is not padding: where attention sinks to. */
export function sinkOf(axis: AxisInfo, item: number): number {
  const padding = axis.padding?.[item];
  return padding ? Math.max(0, padding.findIndex((padded) => padded === 0)) : 0;
}

/** Whether an axis tells sentence A from sentence B in this item, so that pairs can be filtered. */
export function hasPairs(axis: AxisInfo, item: number): boolean {
  const segments = axis.segments?.[item];
  return segments !== undefined && segments.includes(0) && segments.includes(1);
}

export function isSpecial(axis: AxisInfo, item: number, position: number): boolean {
  return axis.special?.[item]?.[position] === 1;
}

export function listedPositions(axis: AxisInfo, item: number, filters: Filters, side: "query" | "key"): number[] {
  const sink = sinkOf(axis, item);
  const segment = segmentOf(filters.pair, side);
  const listed: number[] = [];
  for (let position = 0; position < axis.length; position += 1) {
    if (axis.padding?.[item]?.[position] === 1) continue;
    if (filters.special === "hide" && isSpecial(axis, item, position)) continue;
    if (filters.sink === "hide" && position === sink) continue;
    if (segment !== null && axis.segments?.[item]?.[position] !== segment) continue;
    listed.push(position);
  }
  return listed;
}

/** "AB" is queries in A that attend to keys in B. */
function segmentOf(pair: PairFilter, side: "query" | "key"): number | null {
  if (pair === "all") return null;
  return pair[side === "query" ? 0 : 1] === "A" ? 0 : 1;
}

/** Keys whose weight counts as 0, in order; empty when nothing is discounted. */
export function discountedKeys(axis: AxisInfo, item: number, filters: Filters): number[] {
  const sink = sinkOf(axis, item);
  const keys: number[] = [];
  for (let position = 0; position < axis.length; position += 1) {
    const special = filters.special === "discount" && isSpecial(axis, item, position);
    if (special || (filters.sink === "discount" && position === sink)) keys.push(position);
  }
  return keys;
}
