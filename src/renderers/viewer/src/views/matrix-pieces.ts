/**
 * Cuts a stretch of rows (or columns) of the picture into ranges of positions that a reader can be asked for.
 *
 * A cell of the picture stands for `step` rows in the order in which they are drawn. Where tokens are hidden, or
 * sorted by weight, these are not neighbours in the trace, so a stretch may need several ranges.
 */

export interface Piece {
  /** Positions from `start` up to, and without, `stop`. */
  readonly start: number;
  readonly stop: number;
  /** The first cell that they belong to, and how many cells they fill. */
  readonly cell: number;
  readonly cells: number;
  /** For scattered positions: the cell of each position from `start` on, -1 where it is not drawn; else null. */
  readonly cellOf: Int32Array | null;
}

/** With more ranges than this, whole spans are read and picked from: many small questions take longer. */
const MOST_RANGES = 12;
/** Positions read at once when they are scattered, so that no single answer gets out of hand. */
const SPAN = 4096;

/** `positions[first]` to before `positions[last]`, in cells of `step` rows counted from `first`. */
export function piecesOf(positions: readonly number[], first: number, last: number, step: number): Piece[] {
  const pieces: Piece[] = [];
  for (let begin = first; begin < last; ) {
    const end = endOfRun(positions, begin, last);
    cutRun(pieces, positions[begin] ?? 0, begin - first, end - first, step);
    if (pieces.length > MOST_RANGES) return scattered(positions, first, last, step);
    begin = end;
  }
  return pieces;
}

/** Behind the last index whose position follows on from that of `begin` one by one. */
function endOfRun(positions: readonly number[], begin: number, last: number): number {
  let end = begin + 1;
  while (end < last && positions[end] === (positions[end - 1] ?? 0) + 1) end += 1;
  return end;
}

/** A run as up to three pieces: the rest of a begun cell, whole cells, and the beginning of another. */
function cutRun(pieces: Piece[], position: number, begin: number, end: number, step: number): void {
  const add = (from: number, to: number): void => {
    if (to <= from) return;
    const start = position + from - begin;
    const cells = Math.max(1, Math.floor((to - from) / step));
    pieces.push({ start, stop: start + to - from, cell: Math.floor(from / step), cells, cellOf: null });
  };
  const whole = Math.min(end, Math.ceil(begin / step) * step);
  const rest = Math.max(whole, Math.floor(end / step) * step);
  add(begin, whole);
  add(whole, rest);
  add(rest, end);
}

function scattered(positions: readonly number[], first: number, last: number, step: number): Piece[] {
  const spans = new Map<number, number[]>();
  for (let index = first; index < last; index += 1) {
    const span = Math.floor((positions[index] ?? 0) / SPAN);
    const indices = spans.get(span);
    if (indices === undefined) spans.set(span, [index]);
    else indices.push(index);
  }
  return [...spans.values()].map((indices) => {
    const places = indices.map((index) => positions[index] ?? 0);
    const start = Math.min(...places);
    const stop = Math.max(...places) + 1;
    const cellOf = new Int32Array(stop - start).fill(-1);
    places.forEach((place, at) => {
      cellOf[place - start] = Math.floor(((indices[at] ?? first) - first) / step);
    });
    return { start, stop, cell: 0, cells: stop - start, cellOf };
  });
}

/** Which row of an answer goes into which cell of the picture: parallel lists. */
export interface Links {
  readonly cells: readonly number[];
  readonly rows: readonly number[];
}

/** `answered` is how many positions a row of the answer stands for; a source may answer coarser than it was asked. */
export function linksOf(piece: Piece, answered: number): Links {
  const cells: number[] = [];
  const rows: number[] = [];
  const each = piece.cellOf === null ? (piece.stop - piece.start) / piece.cells : 1;
  for (let place = 0; place < piece.cells; place += 1) {
    const cell = piece.cellOf === null ? piece.cell + place : (piece.cellOf[place] ?? -1);
    if (cell < 0) continue;
    cells.push(cell);
    rows.push(Math.floor((place * each) / answered));
  }
  return { cells, rows };
}
