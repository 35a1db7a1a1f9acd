/** Which rows of a column of tokens are in the window, when two columns share one scroll bar. */

/** A column of `count` rows of `rowHeight`, seen through a window of `height`. */
export interface ColumnSize {
  readonly count: number;
  readonly rowHeight: number;
  readonly height: number;
}

/** Rows from `first` up to, and without, `last`. */
export interface VisibleRows {
  readonly first: number;
  readonly last: number;
}

const LOWEST_ROW = 20;
const HIGHEST_ROW = 46;

/** Few tokens spread over the window; many get the lowest row that is still easy to read. */
export function rowHeightFor(count: number, height: number): number {
  return Math.min(HIGHEST_ROW, Math.max(LOWEST_ROW, Math.floor(height / Math.max(1, count))));
}

/** How far a scroll bar goes for the longer of two columns. */
export function scrollLength(rowHeight: number, height: number, counts: readonly number[]): number {
  return Math.max(0, Math.max(...counts) * rowHeight - height);
}

/**
 * Pixels by which a column is moved up. The longer one follows the scroll bar; a shorter one moves in proportion, so
 * that both begin and end together, and one that fits stands still.
 */
export function columnOffset(size: ColumnSize, scrolled: number, length: number): number {
  const own = size.count * size.rowHeight - size.height;
  if (own <= 0 || length <= 0) return 0;
  return Math.min(own, Math.max(0, (scrolled * own) / length));
}

/** The scroll position that brings a row into the window with the least movement. */
export function scrolledTo(size: ColumnSize, row: number, scrolled: number, length: number): number {
  const own = size.count * size.rowHeight - size.height;
  if (own <= 0) return scrolled;
  const offset = columnOffset(size, scrolled, length);
  const top = row * size.rowHeight;
  const lowest = top + size.rowHeight - size.height;
  const wanted = Math.min(Math.max(offset, lowest), top);
  return (wanted * length) / own;
}

export function visibleRows(size: ColumnSize, offset: number): VisibleRows {
  const first = Math.max(0, Math.floor(offset / size.rowHeight));
  const last = Math.min(size.count, Math.ceil((offset + size.height) / size.rowHeight));
  return { first: Math.min(first, last), last };
}

/** The row at a height in the window; null above, below and between the columns' ends. */
export function rowAt(size: ColumnSize, offset: number, y: number): number | null {
  const row = Math.floor((y + offset) / size.rowHeight);
  return row >= 0 && row < size.count ? row : null;
}

/** The middle of a row, in pixels from the window's top. */
export function rowCentre(size: ColumnSize, offset: number, row: number): number {
  return (row + 0.5) * size.rowHeight - offset;
}
