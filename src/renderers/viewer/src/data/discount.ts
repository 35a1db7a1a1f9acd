/** Takes keys out of full rows of weights and scales the rest, so that each row keeps its sum. */

/** Changes `values` (rows, keys) in place and gives them back. A row that attends to nothing else is left all zero. */
export function discount(values: Float32Array, keys: number, discounted: readonly number[]): Float32Array {
  for (let start = 0; start < values.length; start += keys) {
    const row = values.subarray(start, start + keys);
    const before = sum(row);
    for (const key of discounted) row[key] = 0;
    const after = sum(row);
    // Not so where it is NaN either: one missing weight must not make the whole row missing.
    if (after > 0) scale(row, before / after);
  }
  return values;
}

function scale(row: Float32Array, factor: number): void {
  for (let key = 0; key < row.length; key += 1) row[key]! *= factor;
}

function sum(row: Float32Array): number {
  let total = 0;
  for (let key = 0; key < row.length; key += 1) total += row[key]!;
  return total;
}
