/** Takes keys out of full rows of weights and scales the rest, so that each row keeps its sum. */

/** Changes `values` (rows, keys) in place. A row that attends to nothing else is left all zero. */
export function discount(values: Float32Array, keys: number, discounted: readonly number[]): void {
  for (let start = 0; start < values.length; start += keys) {
    const row = values.subarray(start, start + keys);
    const before = sum(row);
    for (const key of discounted) row[key] = 0;
    const after = sum(row);
    if (after <= 0) continue;
    for (let key = 0; key < keys; key += 1) row[key]! *= before / after;
  }
}

function sum(row: Float32Array): number {
  let total = 0;
  for (const value of row) total += value;
  return total;
}
