/** Max pooling: a cell of a smaller tile is the largest weight in its block, so that no strong weight disappears. */

import type { Range, Tile } from "./source";

export function lengthOf(range: Range): number {
  return range.stop - range.start;
}

/** How many positions a cell stands for when `length` positions may take at most `most` cells. */
export function stepFor(length: number, most: number): number {
  return Math.max(1, Math.ceil(length / Math.max(1, most)));
}

/** A tile of (rows, columns) from full-resolution values of these ranges, row-major. */
export function pooled(values: Float32Array, queries: Range, keys: Range, maxRows: number, maxColumns: number): Tile {
  const height = lengthOf(queries);
  const width = lengthOf(keys);
  const rowStep = stepFor(height, maxRows);
  const columnStep = stepFor(width, maxColumns);
  const rows = Math.ceil(height / rowStep);
  const columns = Math.ceil(width / columnStep);
  const tile = { queries, keys, rows, columns, rowStep, columnStep };
  if (rowStep === 1 && columnStep === 1) return { ...tile, values };
  const cells = new Float32Array(rows * columns).fill(-Infinity);
  for (let row = 0; row < height; row += 1) {
    const target = Math.floor(row / rowStep) * columns;
    poolRow(values, row * width, width, cells, target, columnStep);
  }
  return { ...tile, values: cells };
}

/** NaN stays NaN: a missing weight must not look like a small one. */
function poolRow(
  values: Float32Array, start: number, width: number, cells: Float32Array, target: number, step: number,
): void {
  for (let column = 0; column < width; column += 1) {
    const value = values[start + column]!;
    const cell = target + Math.floor(column / step);
    const largest = cells[cell]!;
    if (value > largest || value !== value) cells[cell] = largest !== largest ? largest : value;
  }
}
