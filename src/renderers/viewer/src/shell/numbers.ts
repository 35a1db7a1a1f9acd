/** Numbers as text: one rule for every weight on the page. */

import { isLeftOut } from "../data/weights";
import type { PrecisionInfo } from "../source/trace-info";

export type Digits = Pick<PrecisionInfo, "decimals" | "significant" | "least">;

/** Small weights get no more decimals than this, nor does what a weight is below. */
const MOST_DECIMALS = 6;

/**
 * A weight with as many decimals as the source is good for: `decimals` of them, or so many that `significant` digits
 * are seen where small weights are known better than that (0.0034 with 2 and 2). What is too small for the source or
 * for the eye is said to be below a bound, and only a weight that is nothing reads 0.
 *
 * `most` is what the weight is at most, where the source does not hold all of it.
 */
export function formatWeight(weight: number, digits: Digits, most = weight): string {
  if (isLeftOut(weight, most)) return `not in this file (< ${boundText(most)})`;
  if (Number.isNaN(weight)) return "not a number";
  if (!Number.isFinite(weight)) return weight > 0 ? "∞" : "−∞";
  const text = plainText(weight, digits);
  const upper = most > weight ? plainText(most, digits) : text;
  if (upper === text) return text;
  return text.startsWith("<") || weight === 0 ? `< ${boundText(most)}` : `≥ ${text}`;
}

function plainText(weight: number, { decimals, significant = 0, least = 0 }: Digits): string {
  if (weight === 0) return "0";
  const size = Math.abs(weight);
  const bound = Math.max(least, 10 ** -Math.max(decimals, MOST_DECIMALS));
  if (size < bound) return `< ${boundText(bound)}`;
  const shown = Math.max(decimals, smallDecimals(size, significant));
  return weight.toFixed(shown).replace("-", "−");
}

function smallDecimals(size: number, significant: number): number {
  if (significant === 0) return 0;
  const leadingZeros = -Math.floor(Math.log10(size)) - 1;
  return Math.min(MOST_DECIMALS, leadingZeros + significant);
}

/** A bound with two digits, rounded up so that it stays one. */
export function boundText(bound: number): string {
  if (!(bound > 0)) return "0";
  const decimals = Math.min(MOST_DECIMALS, Math.max(0, 1 - Math.floor(Math.log10(bound))));
  const up = Math.ceil(bound * 10 ** decimals * (1 - 1e-9)) / 10 ** decimals;
  return up.toFixed(decimals).replace(/(\.\d*?[1-9])0+$|\.0+$/, "$1");
}

/** The threshold's slider has most of its room where most weights are: near 0. */
const STEPS = 100;
const POWER = 3;

/** The slider's place (0 to 100) as a threshold (0 to 1). */
export function thresholdAt(place: number): number {
  return Number(((place / STEPS) ** POWER).toPrecision(3));
}

export function placeOfThreshold(threshold: number): number {
  return Math.round(threshold ** (1 / POWER) * STEPS);
}
