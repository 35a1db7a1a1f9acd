/** What is under the pointer or the keyboard's cursor: which two tokens, and exactly how much weight. */

import { shortened } from "../data/tokens";
import { mostOf } from "../data/weights";
import type { Series, WeightsReader } from "../data/reader";
import { isolated } from "../draw/rulers";
import type { TooltipRow } from "./view";
import type { MatrixOrder } from "./matrix-order";
import type { Cell } from "./matrix-scene";
import { readTile, type MatrixTile, type Resolution, type Window } from "./matrix-tiles";

/** Positions of the query and the key, and the weight between them. */
export interface Pointed {
  readonly query: number;
  readonly key: number;
  readonly weight: number;
  /** What it is at most, where the source does not hold every weight under the pointer. */
  readonly most: number;
  /** Rows and columns of weights that are drawn as the one cell; this is the largest of them. */
  readonly among: readonly [number, number];
}

/** The weights that one cell of the screen stands for. */
export function blockUnder(order: MatrixOrder, cell: Cell, resolution: Resolution): Window {
  const { rowStep, columnStep } = resolution;
  const firstRow = Math.floor(cell.row / rowStep) * rowStep;
  const firstColumn = Math.floor(cell.column / columnStep) * columnStep;
  return {
    firstRow,
    lastRow: Math.min(order.rows.length, firstRow + rowStep),
    firstColumn,
    lastColumn: Math.min(order.columns.length, firstColumn + columnStep),
  };
}

/** Reads every weight under one cell of the screen, and points at the largest, which is the one that is seen. */
export async function readPointed(
  reader: WeightsReader,
  series: Series,
  item: number,
  order: MatrixOrder,
  cell: Cell,
  resolution: Resolution,
): Promise<Pointed> {
  const block = blockUnder(order, cell, resolution);
  const tile = await readTile(reader, series, item, order, block, { rowStep: 1, columnStep: 1 });
  const place = placeOfLargest(tile.values);
  return {
    query: order.rows[block.firstRow + Math.floor(place / tile.columns)] ?? 0,
    key: order.columns[block.firstColumn + (place % tile.columns)] ?? 0,
    weight: tile.values[place] ?? Number.NaN,
    most: largestBound(tile, place),
    among: [tile.rows, tile.columns],
  };
}

/** What the largest weight of a tile is at most: one that is not held may be larger than the largest that is. */
function largestBound(tile: MatrixTile, place: number): number {
  let most = mostOf(tile, place);
  for (const bound of tile.most ?? []) if (bound > most) most = bound;
  return most;
}

export function placeOfLargest(values: Float32Array): number {
  let best = 0;
  values.forEach((value, place) => {
    if (value > (values[best] ?? 0) || Number.isNaN(values[best])) best = place;
  });
  return best;
}

/** The tooltip: title and rows. `words` are the labels of query and key. */
export function describePointed(
  pointed: Pointed,
  words: readonly [string, string],
  weight: Pick<TooltipRow, "share" | "colour"> & { readonly text: string },
): { title: string; rows: TooltipRow[] } {
  const [rows, columns] = pointed.among;
  const pooled = rows * columns > 1;
  return {
    title: words.map((word) => isolated(shortened(word, 28))).join(" → "),
    rows: [
      { label: pooled ? `largest of ${rows} × ${columns} weights here` : "weight", value: weight.text, ...barOf(weight) },
      { label: "from query", value: String(pointed.query) },
      { label: "to key", value: String(pointed.key) },
    ],
  };
}

function barOf({ share, colour }: Pick<TooltipRow, "share" | "colour">): Pick<TooltipRow, "share" | "colour"> {
  return share === undefined || colour === undefined ? {} : { share, colour };
}

/** For a screen reader. */
export function sayPointed(pointed: Pointed, words: readonly [string, string], weight: string): string {
  const [rows, columns] = pointed.among;
  const pooled = rows * columns > 1 ? `, the largest of ${rows} by ${columns} here` : "";
  return `From ${words[0]}, position ${pointed.query}, to ${words[1]}, position ${pointed.key}: ${weight}${pooled}`;
}
