/** How wide a column of tokens is to be. */

import type { Measure } from "./rulers";

/** Up to this many pixels the longest token is written out. */
const COMFORTABLE = 130;
/** Beyond that, a column is as wide as this share of its tokens needs; the few longer ones are cut. */
const SHARE = 0.9;
/** Labels of about the same length are measured together, as "mmm" is wider than "iiii". */
const MEASURED = 60;

/** Pixels that most labels need: one very long token must not take the room of everything else. */
export function usualWidth(labels: readonly string[], measure: Measure): number {
  const sorted = [...labels].sort((left, right) => right.length - left.length);
  const widest = (from: number): number => sorted.slice(from, from + MEASURED).reduce((most, label) => Math.max(most, measure(label)), 0);
  const longest = widest(0);
  if (longest <= COMFORTABLE) return longest;
  return Math.max(COMFORTABLE, widest(Math.ceil(labels.length * (1 - SHARE))));
}
