/** Max pooling: a cell of a smaller tile is the largest weight in its block, so that no strong weight disappears. */

import type { Range, Tile } from "./source";

export function lengthOf(range: Range): number {
  return range.stop - range.start;
}

/** How many positions a cell stands for when `length` positions may take at most `most` cells. */
export function stepFor(length: number, most: number): number {
  return Math.max(1, Math.ceil(length / Math.max(1, most)));
}

/** Everything about the answer to a request but its values. */
export type TileShape = Omit<Tile, "values">;

export function shapeOf(queries: Range, keys: Range, maxRows: number, maxColumns: number): TileShape {
  const rowStep = stepFor(lengthOf(queries), maxRows);
  const columnStep = stepFor(lengthOf(keys), maxColumns);
  const rows = Math.ceil(lengthOf(queries) / rowStep);
  const columns = Math.ceil(lengthOf(keys) / columnStep);
  return { queries, keys, rows, columns, rowStep, columnStep };
}

/** A tile from full-resolution values (queries, keys), row-major; the values themselves where nothing is pooled. */
export function pooled(values: Float32Array, queries: Range, keys: Range, maxRows: number, maxColumns: number): Tile {
  const shape = shapeOf(queries, keys, maxRows, maxColumns);
  if (shape.rowStep === 1 && shape.columnStep === 1) return { ...shape, values };
  const cells = emptyCells(shape);
  poolRows(values, 0, shape, cells);
  return { ...shape, values: cells };
}

/** The same for codes that rise with the weights they stand for, so that only what is left of them becomes numbers. */
export function pooledCodes(codes: Uint8Array, { queries, keys, rows, columns, rowStep, columnStep }: TileShape): Uint8Array {
  if (rowStep === 1 && columnStep === 1) return codes;
  const width = lengthOf(keys);
  const cells = new Uint8Array(rows * columns);
  for (let row = 0; row < lengthOf(queries); row += 1) {
    let cell = Math.floor(row / rowStep) * columns;
    const end = (row + 1) * width;
    for (let from = row * width; from < end; from += columnStep, cell += 1) {
      const to = Math.min(from + columnStep, end);
      let largest = cells[cell]!;
      for (let place = from; place < to; place += 1) if (codes[place]! > largest) largest = codes[place]!;
      cells[cell] = largest;
    }
  }
  return cells;
}

export function emptyCells(shape: TileShape): Float32Array {
  return new Float32Array(shape.rows * shape.columns).fill(-Infinity);
}

/** Takes full-resolution rows into `cells`; they are the rows from `firstRow` on, counted from the tile's first. */
export function poolRows(values: Float32Array, firstRow: number, shape: TileShape, cells: Float32Array): void {
  const width = lengthOf(shape.keys);
  const rows = values.length / width;
  for (let row = 0; row < rows; row += 1) {
    const target = Math.floor((firstRow + row) / shape.rowStep) * shape.columns;
    poolRow(values, row * width, width, cells, target, shape.columnStep);
  }
}

/** NaN stays NaN: a missing weight must not look like a small one. */
function poolRow(
  values: Float32Array, start: number, width: number, cells: Float32Array, target: number, step: number,
): void {
  const end = start + width;
  for (let cell = target, from = start; from < end; cell += 1, from += step) {
    const to = Math.min(from + step, end);
    let largest = cells[cell]!;
    for (let place = from; place < to; place += 1) {
      const value = values[place]!;
      // No comparison with NaN is true, so a cell that holds it keeps it.
      if (value > largest || value !== value) largest = value;
    }
    cells[cell] = largest;
  }
}

/** Cells of a source that does not hold every weight. */
export interface Bounded {
  readonly values: Float32Array;
  readonly most: Float32Array;
}

export function emptyBounded(shape: TileShape): Bounded {
  const most = new Float32Array(shape.rows * shape.columns).fill(-Infinity);
  return { values: most.map(() => Number.NaN), most };
}

/** Takes one row that is as wide as the cells into those from `target` on. */
export function poolBoundedRow(values: Float32Array, most: Float32Array, cells: Bounded, target: number): void {
  for (let column = 0; column < values.length; column += 1) {
    takeInto(cells, target + column, values[column]!, most[column]!);
  }
}

/**
 * A weight that is left out does not hide one that is held, but raises what the cell is at most; the model's own NaN
 * stays, as both.
 */
function takeInto({ values, most }: Bounded, cell: number, value: number, bound: number): void {
  const before = most[cell]!;
  if (before !== before) return;
  if (bound !== bound) {
    values[cell] = most[cell] = Number.NaN;
    return;
  }
  // True too where no value has come yet, which is NaN.
  if (!(values[cell]! >= value) && value === value) values[cell] = value;
  if (bound > before) most[cell] = bound;
}

/** Takes full-resolution rows into cells; they are the rows from `firstRow` on, counted from the tile's first. */
export function poolBounded(weights: Bounded, firstRow: number, shape: TileShape, cells: Bounded): void {
  const width = lengthOf(shape.keys);
  const rows = weights.values.length / width;
  for (let row = 0; row < rows; row += 1) {
    let cell = Math.floor((firstRow + row) / shape.rowStep) * shape.columns;
    const end = (row + 1) * width;
    for (let from = row * width; from < end; from += shape.columnStep, cell += 1) {
      takeAllInto(cells, cell, weights, from, Math.min(from + shape.columnStep, end));
    }
  }
}

/** As `takeInto` for each of them, but reading and writing the cell once: all weights of a view go through here. */
function takeAllInto(cells: Bounded, cell: number, { values, most }: Bounded, from: number, to: number): void {
  let value = cells.values[cell]!;
  let bound = cells.most[cell]!;
  for (let place = from; place < to && bound === bound; place += 1) {
    const next = values[place]!;
    if (!(value >= next) && next === next) value = next;
    if (most[place]! !== most[place]!) value = bound = Number.NaN;
    else if (most[place]! > bound) bound = most[place]!;
  }
  cells.values[cell] = value;
  cells.most[cell] = bound;
}
