/** The tokens that the head view lists: rows on the left and right, and which position of the input each is. */

import { max } from "d3-array";
import type { AxisInfo } from "../source/trace-info";
import type { Range } from "../source/source";
import type { ColumnToken } from "../draw/token-column";
import { hasPairs, isSpecial } from "../data/filters";
import { labelOf, shortened } from "../data/tokens";

/** Longer texts are cut here; the column's ellipsis does the rest. */
const MOST_CHARACTERS = 80;

export interface Listing {
  /** The position of each row. */
  readonly queries: readonly number[];
  readonly keys: readonly number[];
  /** The row of each position, -1 for positions that are not listed. */
  readonly queryRow: Int32Array;
  readonly keyRow: Int32Array;
  /** All positions from the first to the last listed one. */
  readonly queryRange: Range;
  readonly keyRange: Range;
}

export function listingOf(queries: readonly number[], keys: readonly number[]): Listing {
  return {
    queries,
    keys,
    queryRow: rowsOf(queries),
    keyRow: rowsOf(keys),
    queryRange: rangeOf(queries),
    keyRange: rangeOf(keys),
  };
}

function rowsOf(positions: readonly number[]): Int32Array {
  const rows = new Int32Array((max(positions) ?? -1) + 1).fill(-1);
  positions.forEach((position, row) => (rows[position] = row));
  return rows;
}

function rangeOf(positions: readonly number[]): Range {
  return { start: positions[0] ?? 0, stop: (positions[positions.length - 1] ?? -1) + 1 };
}

/** The row of a position that may be listed, or be no position at all. */
export function rowOf(rows: Int32Array, position: number | null): number | null {
  const row = position === null ? -1 : (rows[position] ?? -1);
  return row < 0 ? null : row;
}

export function columnTokens(axis: AxisInfo, item: number, positions: readonly number[]): ColumnToken[] {
  const parts = partsOf(axis, item, positions);
  return positions.map((position, row) => {
    const whole = labelOf(axis, item, position);
    return { position, whole, text: shortened(whole, MOST_CHARACTERS), special: isSpecial(axis, item, position), part: parts[row] ?? "" };
  });
}

/** Where sentence A or B begins, of two that the model has read together; nothing where there is one sentence. */
export function partsOf(axis: AxisInfo, item: number, positions: readonly number[]): string[] {
  const segments = axis.segments?.[item];
  if (segments === undefined || !hasPairs(axis, item)) return positions.map(() => "");
  return positions.map((position, row) => {
    const segment = segments[position];
    const before = positions[row - 1];
    return before !== undefined && segments[before] === segment ? "" : segment === 0 ? "A" : "B";
  });
}
