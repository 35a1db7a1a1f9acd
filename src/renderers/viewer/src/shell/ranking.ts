/** The largest weights of a row or a column. */

import { MeanOfWeights } from "../data/mean-of-weights";
import type { Row } from "./pointed-weights";

export interface Ranked {
  readonly position: number;
  readonly weight: number;
}

/** The `count` listed positions with the largest weights above 0, the largest first, equal ones in order. */
export function largest(weights: Float32Array, listed: readonly number[], count: number): readonly Ranked[] {
  // One pass that keeps the few best: rows have up to 16,384 weights, and this runs while the pointer moves.
  const best: Ranked[] = [];
  for (const position of listed) {
    const weight = weights[position] ?? Number.NaN;
    const last = best.length < count ? 0 : (best[count - 1]?.weight ?? 0);
    if (!(weight > last)) continue;
    const place = best.findIndex((entry) => entry.weight < weight);
    best.splice(place === -1 ? best.length : place, 0, { position, weight });
    if (best.length > count) best.pop();
  }
  return best;
}

/** The mean of several rows, position by position. */
export function meanOf(rows: readonly Row[]): Row {
  const length = rows[0]?.values.length ?? 0;
  const sum = new MeanOfWeights(length, rows.length);
  const whole = { start: 0, stop: length };
  for (const { values, most } of rows) sum.add({ values, most: most === values ? undefined : most }, whole, whole);
  return sum.mean();
}
