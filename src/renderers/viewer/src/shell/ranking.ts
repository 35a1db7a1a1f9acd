/** The largest weights of a row or a column. */

export interface Ranked {
  readonly position: number;
  readonly weight: number;
}

/** The `count` listed positions with the largest weights above 0, the largest first, equal ones in order. */
export function largest(weights: Float32Array, listed: readonly number[], count: number): readonly Ranked[] {
  return listed
    .map((position) => ({ position, weight: weights[position] ?? Number.NaN }))
    .filter((entry) => entry.weight > 0)
    .sort((left, right) => right.weight - left.weight || left.position - right.position)
    .slice(0, count);
}

/** The mean of several rows, position by position. */
export function meanOf(rows: readonly Float32Array[]): Float32Array {
  const first = rows[0] ?? new Float32Array(0);
  return first.map((_, position) => rows.reduce((sum, row) => sum + (row[position] ?? Number.NaN), 0) / rows.length);
}
