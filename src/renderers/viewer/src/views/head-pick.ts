/** Finds the line under the pointer. */

import { lineWidth, opacity, rise, riseSlope, type LineStyle } from "../draw/lines";
import { heightsOf, type PlacedLines } from "./head-ends";

/** Pixels from a line's edge at which it can still be meant. */
const REACH = 6;
/** A line that is hardly seen has to be this much nearer than one that is fully seen, in pixels. */
const HANDICAP = 4;
/** What nobody can see, nobody points at. */
const UNSEEN = 0.05;

export interface DrawnLines extends PlacedLines {
  /** The lines that are drawn, weakest first. */
  readonly order: Int32Array;
  readonly style: LineStyle;
}

/**
 * The line that is meant at `share` of the way and height `y`, of lines that go `across` so many pixels: near, and seen.
 * Its place in the buffer; null when none is.
 */
export function lineAt(drawn: DrawnLines, across: number, share: number, y: number): number | null {
  const { lines, order, style } = drawn;
  const up = rise(share);
  const slope = riseSlope(share) / Math.max(1, across);
  let best: number | null = null;
  let least = REACH + HANDICAP;
  for (const line of order) {
    const { from, to, fade } = heightsOf(drawn, line);
    const drop = to - from;
    // Beside a steep line the pointer is nearer to it than straight above it.
    const away = Math.abs(from + drop * up - y) / Math.sqrt(1 + (drop * slope) ** 2);
    if (away > REACH + 4) continue;
    const level = lines.level[line]!;
    const beside = Math.max(0, away - lineWidth(level, style) / 2);
    const seen = opacity(level, style) * fade;
    const cost = beside + HANDICAP * (1 - seen);
    // The order is weakest first, so the last of those equally near is the strongest.
    if (beside > REACH || seen < UNSEEN || cost > least) continue;
    best = line;
    least = cost;
  }
  return best;
}
