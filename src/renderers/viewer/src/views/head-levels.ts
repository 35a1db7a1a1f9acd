/** How large the weights are that the head view shows, for the automatic threshold: as filtered and averaged. */

import { levelsOf, type Threshold } from "../data/threshold";
import type { Listing } from "./head-listing";
import type { HeadWeights } from "./head-weights";

/** So many rows tell. */
const MOST_ROWS = 32;
/** A threshold is never below a tenth of the strongest weights: smaller ones need not be sorted. */
const LEAST_SHARE = 1 / 20;

/** Tells the threshold where it does not know, by some of the rows that are there. */
export function measureShown(threshold: Threshold, weights: HeadWeights, { queries, keys }: Listing): void {
  if (!threshold.isUnknown()) return;
  const there = queries.filter((query) => weights.row(0, query) !== null);
  if (there.length === 0) return;
  const step = Math.ceil(there.length / MOST_ROWS);
  const rows = there.filter((_, place) => place % step === 0);
  threshold.measure(weights.series.map((_, series) => levelsOf(strongWeights(weights, series, rows, keys), rows.length)));
}

function strongWeights(weights: HeadWeights, series: number, rows: readonly number[], keys: readonly number[]): Float32Array {
  const found = new Float32Array(rows.length * keys.length);
  let [count, largest] = [0, 0];
  for (const query of rows) {
    const cells = weights.row(series, query);
    if (cells === null) continue;
    const { values, start, from } = cells;
    for (const key of keys) {
      const weight = values[start + key - from]!;
      if (!(weight > largest * LEAST_SHARE)) continue;
      found[count++] = weight;
      if (weight > largest) largest = weight;
    }
  }
  return found.subarray(0, count);
}
