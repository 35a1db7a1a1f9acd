/** Finds the line under the pointer. */

import { rise, seriesOffset, type LineBuffer } from "../draw/lines";
import { rowCentre } from "../draw/token-column-rows";
import type { ColumnPlace } from "./head-picture";

const REACH = 5;

export interface DrawnLines {
  readonly lines: LineBuffer;
  readonly order: Int32Array;
  readonly series: number;
  readonly queries: ColumnPlace;
  readonly keys: ColumnPlace;
}

/** The nearest line at `share` of the way and height `y`; of equally near ones the strongest. Null when none is near. */
export function lineAt(drawn: DrawnLines, share: number, y: number): { query: number; key: number } | null {
  const { lines, order, queries, keys } = drawn;
  const up = rise(share);
  let best = -1;
  let least = REACH;
  for (const line of order) {
    const shift = seriesOffset(lines.series[line]!, drawn.series, queries.size.rowHeight);
    const from = rowCentre(queries.size, queries.offset, lines.query[line]!);
    const to = rowCentre(keys.size, keys.offset, lines.key[line]!);
    const away = Math.abs(from + (to - from) * up + shift - y);
    // The order is weakest first, so the last of those equally near is the strongest.
    if (away > least + 0.5) continue;
    best = line;
    least = Math.min(least, away);
  }
  return best < 0 ? null : { query: lines.query[best]!, key: lines.key[best]! };
}
