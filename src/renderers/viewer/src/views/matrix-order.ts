/** Which token stands in which row and column of the matrix, and the sorting of either by weight. */

import type { Series, WeightsReader } from "../data/reader";
import { isLeftOut, mostOf } from "../data/weights";
import type { Selection } from "../state/selection";

/** Positions of the tokens by row and by column; `sorted` says which of them are ordered by weight. */
export interface MatrixOrder {
  readonly rows: readonly number[];
  readonly columns: readonly number[];
  readonly sorted: "rows" | "columns" | null;
}

/** `positions` by falling weight; equal weights stay in order, and what is not a number comes last. */
export function byWeight(positions: readonly number[], weightOf: (position: number) => number): number[] {
  const rank = (position: number): number => {
    const weight = weightOf(position);
    return Number.isNaN(weight) ? Number.NEGATIVE_INFINITY : weight;
  };
  return [...positions].sort((left, right) => {
    const [a, b] = [rank(left), rank(right)];
    return a === b ? 0 : b > a ? 1 : -1;
  });
}

/** The edge where the strongest are, after another sorting; null while the order is that of before. */
export function edgeOf(order: MatrixOrder, before: MatrixOrder): "left" | "top" | null {
  if (order.sorted === "columns" && order.columns.join() !== before.columns.join()) return "left";
  if (order.sorted === "rows" && order.rows.join() !== before.rows.join()) return "top";
  return null;
}

/** Reads one row or column of weights where the selection sorts by it. */
export async function readOrder(reader: WeightsReader, series: Series, selection: Selection): Promise<MatrixOrder> {
  const [rows, columns] = [reader.queries(), reader.keys()];
  const plain: MatrixOrder = { rows, columns, sorted: null };
  if (rows.length === 0 || columns.length === 0) return plain;
  if (selection.sort === "query" && selection.query !== null) {
    const one = { start: selection.query, stop: selection.query + 1 };
    const weightOf = await readLine(reader, series, selection.item, one, spanOf(columns));
    return { rows, columns: byWeight(columns, weightOf), sorted: "columns" };
  }
  if (selection.sort === "key" && selection.key !== null) {
    const one = { start: selection.key, stop: selection.key + 1 };
    const weightOf = await readLine(reader, series, selection.item, spanOf(rows), one);
    return { rows: byWeight(rows, weightOf), columns, sorted: "rows" };
  }
  return plain;
}

/** So little of its bound does a weight count that is not held: no held weight is smaller. */
const LEFT_OUT = 1e-12;

interface Span {
  readonly start: number;
  readonly stop: number;
}

/** From the first to behind the last of ascending positions. */
export function spanOf(positions: readonly number[]): Span {
  return { start: positions[0] ?? 0, stop: (positions.at(-1) ?? -1) + 1 };
}

/** A row (one query) or a column (one key) of weights, as a function of the position along it. */
async function readLine(
  reader: WeightsReader,
  series: Series,
  item: number,
  queries: Span,
  keys: Span,
): Promise<(position: number) => number> {
  const [rows, columns] = [queries.stop - queries.start, keys.stop - keys.start];
  const tile = await reader.block({ series, item, queries, keys, maxRows: rows, maxColumns: columns });
  const start = rows === 1 ? keys.start : queries.start;
  return (position) => {
    const [weight, most] = [tile.values[position - start] ?? 0, mostOf(tile, position - start)];
    // Behind everything that is held, and before what is nothing.
    return isLeftOut(weight, most) ? most * LEFT_OUT : weight;
  };
}
