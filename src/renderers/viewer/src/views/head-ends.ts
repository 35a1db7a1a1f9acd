/** Where a line begins and ends in the window: the same for pixels, for an export and for the pointer. */

import { seriesOffset } from "../draw/lines";
import { rowCentre } from "../draw/token-column-rows";
import type { HeadPictureParts } from "./head-picture";

/** How far lines of a single token that leave the window stand apart, in pixels. */
const APART = 110;

export interface LineHeights {
  readonly from: number;
  readonly to: number;
}

export type PlacedLines = Pick<HeadPictureParts, "lines" | "queries" | "keys" | "scene" | "seriesColours">;

export function heightsOf({ lines, queries, keys, scene, seriesColours }: PlacedLines, line: number): LineHeights {
  const { rowHeight, height } = queries.size;
  const shift = seriesOffset(lines.series[line]!, seriesColours.length, rowHeight);
  const from = rowCentre(queries.size, queries.offset, lines.query[line]!) + shift;
  const to = rowCentre(keys.size, keys.offset, lines.key[line]!) + shift;
  return scene.kind === "all" ? { from, to } : { from: nearby(from, height), to: nearby(to, height) };
}

/**
 * A height outside of the window, brought near to its edge: a line to a token far below would go straight down at once,
 * and nobody could follow it. The order of the ends stays.
 */
export function nearby(y: number, height: number): number {
  const outside = y < 0 ? -y : y - height;
  if (outside <= 0) return y;
  const near = APART * Math.log1p(outside / Math.max(1, height));
  return y < 0 ? -near : height + near;
}
