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

type Block = { readonly values: Float32Array; readonly most?: Float32Array | undefined };

/** A block of full rows with keys taken out; a copy, as a source may give the same block to others. */
export function discounted(block: Block, keys: number, without: readonly number[]): Block {
  const { values, most } = block;
  if (most === undefined) return { values: discount(values.slice(), keys, without) };
  const changed = { values: values.slice(), most: most.slice() };
  for (let start = 0; start < values.length; start += keys) {
    discountBounded(changed.values.subarray(start, start + keys), changed.most.subarray(start, start + keys), without);
  }
  return changed;
}

/**
 * A row that is not held as a whole: what is left is scaled by `1 + out / rest`, of which both are only known between
 * bounds. A row of attention sums to no more than 1, which keeps the bounds close.
 */
function discountBounded(values: Float32Array, most: Float32Array, without: readonly number[]): void {
  const out = { least: 0, most: 0 };
  const rest = { least: 0, most: 0 };
  const taken = new Set(without);
  for (let key = 0; key < values.length; key += 1) {
    const part = taken.has(key) ? out : rest;
    part.least += values[key]! || 0;
    part.most += most[key]! || 0;
  }
  const outMost = Math.min(out.most, Math.max(out.least, 1 - rest.least));
  const restMost = Math.min(rest.most, Math.max(rest.least, 1 - out.least));
  for (const key of without) values[key] = most[key] = 0;
  if (restMost > 0) scale(values, 1 + out.least / restMost);
  if (rest.least > 0) scale(most, 1 + outMost / rest.least);
}
