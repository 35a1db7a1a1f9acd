/** Lines between two token columns: which of them are drawn, how strong they are, and the curve they follow. */

import type { WeightScale } from "../state/selection";
import { LOG_DECADES } from "./heatmap";

/** How much of a line's rise follows an S-curve; the rest is straight. 0 is a straight line. */
export const BEND = 0.55;

/** A line is this part of its full width where it reaches the attended token. */
export const TAPER = 0.45;

/** Lines steeper than this are drawn thinner, the more so the steeper they are. */
export const STEEPEST = 4;

/** Levels of strength; level 0 is too weak to be seen and never drawn. */
export const LEVELS = 256;
export const FAINTEST_LEVEL = 4;

/** What makes a weight strong or weak in the picture. */
export interface StrengthScale {
  readonly scale: WeightScale;
  /** The weight that is drawn at full strength. */
  readonly top: number;
  /** Weights below are not drawn. */
  readonly threshold: number;
}

/** From 0 (not drawn) to 1 (the strongest line). NaN and negative weights have no strength. */
export function strength(weight: number, { scale, top, threshold }: StrengthScale): number {
  if (!(weight > 0) || weight < threshold || top <= 0) return 0;
  const share = Math.min(1, weight / top);
  return scale === "linear" ? share : Math.max(0, 1 + Math.log10(share) / LOG_DECADES);
}

/** The smallest weight that leaves a mark: weaker ones need not be looked at. */
export function faintest({ scale, top, threshold }: StrengthScale): number {
  const least = (FAINTEST_LEVEL - 0.5) / (LEVELS - 1);
  const weight = scale === "linear" ? top * least : top * 10 ** (LOG_DECADES * (least - 1));
  return Math.max(threshold, weight, Number.MIN_VALUE);
}

export function levelOf(share: number): number {
  return Math.round(share * (LEVELS - 1));
}

/** How a level looks. It depends on how many lines there are to be told apart, never on how strong they are. */
export interface LineStyle {
  /** Lines of many heads lie close to each other and are thinner. */
  readonly boldness: number;
  /** Opacity is the strength to this power: below 1 weak lines are lifted. */
  readonly power: number;
  /** Opacity of the weakest line. */
  readonly least: number;
  /** Width of the weakest line in CSS pixels. */
  readonly thinnest: number;
}

/** `single`: the lines of one token alone, which hide nothing behind them. */
export function lineStyle(series: number, single: boolean): LineStyle {
  const boldness = Math.max(0.65, 1.25 - 0.06 * series);
  const thinnest = 0.7;
  return single ? { boldness, power: 0.7, least: 0.1, thinnest } : { boldness, power: 1, least: 0.03, thinnest };
}

/** Lines that stand out: all of them can be seen at a glance, and their width still says how strong each is. */
export function strongStyle({ boldness }: LineStyle): LineStyle {
  return { boldness, power: 0.4, least: 0.6, thinnest: 1.4 };
}

/** Opacity of a level, 0 to 1. Never divided by the number of heads, so that twelve stay as clear as one. */
export function opacity(level: number, { power, least }: LineStyle): number {
  return least + (0.93 - least) * (level / (LEVELS - 1)) ** power;
}

/** Width of a level in CSS pixels, where the line leaves the attending token. */
export function lineWidth(level: number, { boldness, thinnest }: LineStyle): number {
  return thinnest + 3.2 * boldness * (level / (LEVELS - 1));
}

/** Size of the arrow head in CSS pixels, half across; 0 for lines too faint to carry one. */
export function arrowSize(level: number, { boldness }: LineStyle): number {
  const share = level / (LEVELS - 1);
  return share < 0.12 ? 0 : 1.2 + 2.8 * boldness * share;
}

/** What a line keeps of its opacity when one end is out of sight: how far it goes matters more than that it goes. */
export function farFade(from: number, to: number, height: number): number {
  const outside = Math.max(0, -Math.min(from, to), Math.max(from, to) - height);
  return 1 / Math.sqrt(1 + outside / Math.max(1, height));
}

export const ARROW_LENGTH = 8;

/** The curve's height at `share` of the way, from 0 to 1. */
export function rise(share: number): number {
  return (1 - BEND) * share + BEND * share * share * (3 - 2 * share);
}

/** The derivative of `rise`. */
export function riseSlope(share: number): number {
  return 1 - BEND + BEND * 6 * share * (1 - share);
}

/** Where series `place` of `total` runs inside a row: heads lie side by side, so that none covers another. */
export function seriesOffset(place: number, total: number, rowHeight: number): number {
  const spread = Math.min(rowHeight * 0.55, total * 1.7);
  return ((place + 0.5) / total - 0.5) * spread;
}

/** Many lines, as columns of numbers; places count listed tokens, not positions in the input. */
export class LineBuffer {
  length = 0;
  query = new Int32Array(1024);
  key = new Int32Array(1024);
  series = new Uint16Array(1024);
  level = new Uint8Array(1024);

  clear(): void {
    this.length = 0;
  }

  push(query: number, key: number, series: number, level: number): void {
    if (level < FAINTEST_LEVEL) return;
    if (this.length === this.query.length) this.grow();
    this.query[this.length] = query;
    this.key[this.length] = key;
    this.series[this.length] = series;
    this.level[this.length] = level;
    this.length += 1;
  }

  private grow(): void {
    const size = this.length * 2;
    this.query = copied(this.query, new Int32Array(size));
    this.key = copied(this.key, new Int32Array(size));
    this.series = copied(this.series, new Uint16Array(size));
    this.level = copied(this.level, new Uint8Array(size));
  }
}

function copied<T extends Int32Array | Uint16Array | Uint8Array>(from: T, into: T): T {
  into.set(from);
  return into;
}

/**
 * At most `budget` lines, the strongest of them, weakest first: drawn in this order the strong ones lie on top.
 *
 * A counting sort by level. Of the weakest level that still fits, those that come last are left out.
 */
export function strongest(lines: LineBuffer, budget: number): Int32Array {
  const counts = new Int32Array(LEVELS);
  for (let line = 0; line < lines.length; line++) counts[lines.level[line]!]! += 1;
  const room = new Int32Array(LEVELS);
  let left = Math.min(budget, lines.length);
  for (let level = LEVELS - 1; level >= 0; level--) {
    room[level] = Math.min(left, counts[level]!);
    left -= room[level]!;
  }
  const next = new Int32Array(LEVELS);
  for (let level = 1; level < LEVELS; level++) next[level] = next[level - 1]! + room[level - 1]!;
  const order = new Int32Array(Math.min(budget, lines.length));
  for (let line = 0; line < lines.length; line++) {
    const level = lines.level[line]!;
    if (room[level]! === 0) continue;
    room[level]! -= 1;
    order[next[level]!++] = line;
  }
  return order;
}
