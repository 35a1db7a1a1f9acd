/** Where a line begins and ends in the window: the same for pixels, for an export and for the pointer. */

import { farFade, seriesOffset } from "../draw/lines";
import { rowCentre } from "../draw/token-column-rows";
import type { HeadPictureParts } from "./head-picture";
import type { Scene } from "./head-scene";

/** How far lines that leave the window stand apart, in pixels. */
const APART = 110;

export interface LineHeights {
  readonly from: number;
  readonly to: number;
  /** What the line keeps of its opacity: among those of all tokens, the less the further outside of the window it ends. */
  readonly fade: number;
}

/** Lines that leave the window, of which there may be many more than of others. */
const LEAVING = 0.65;
/** Lines that are not of the pair that stands out. */
const FADED = 0.34;

export type PlacedLines = Pick<HeadPictureParts, "lines" | "queries" | "keys" | "scene" | "seriesColours">;

export function heightsOf({ lines, queries, keys, scene, seriesColours }: PlacedLines, line: number): LineHeights {
  const { rowHeight, height } = queries.size;
  const shift = seriesOffset(lines.series[line]!, seriesColours.length, rowHeight);
  const from = rowCentre(queries.size, queries.offset, lines.query[line]!) + shift;
  const to = rowCentre(keys.size, keys.offset, lines.key[line]!) + shift;
  const fade = scene.kind === "all" ? fadeOutside(from, to, height) : fadeBesidePair(scene, lines.key[line]!);
  return { from: nearby(from, height), to: nearby(to, height), fade };
}

/** Whether a line is of the pair of tokens that is pinned, or pointed at beside a pinned one. */
export function standsOut(scene: Scene, key: number): boolean {
  return scene.kind === "query" && scene.other === key;
}

function fadeOutside(from: number, to: number, height: number): number {
  const fade = farFade(from, to, height);
  return fade < 1 ? LEAVING * fade : 1;
}

function fadeBesidePair(scene: Scene, key: number): number {
  return scene.kind === "query" && scene.other !== null && scene.other !== key ? FADED : 1;
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
