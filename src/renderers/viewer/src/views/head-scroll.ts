/** The size of the head view and how far it is scrolled: which rows of each column are where. */

import { usualWidth } from "../draw/token-column-width";
import { measureLike } from "../draw/token-column-text";
import { columnOffset, rowHeightFor, scrollLength, scrolledTo } from "../draw/token-column-rows";
import type { TokenColumn } from "../draw/token-column";
import { placeElements, type HeadElements } from "./head-elements";
import { headLayout, type HeadLayout } from "./head-layout";
import type { Listing } from "./head-listing";

/** As bold as a token becomes when it is pinned or found: it must not be cut off then. */
const BOLD = "600";
/** On both sides of a token together, as in the style sheet. */
const TEXT_PADDING = 16;

export class HeadScroll {
  layout: HeadLayout = headLayout(0, 0, 0, 0);
  private length = 0;

  constructor(private readonly elements: HeadElements) {}

  /** Measures the window and the labels, and places everything. */
  fit(listing: Listing): void {
    const { scroller, queries, keys } = this.elements;
    const height = scroller.clientHeight;
    const counts = [listing.queries.length, listing.keys.length];
    const rowHeight = rowHeightFor(Math.max(...counts), height);
    queries.size = { count: listing.queries.length, rowHeight, height };
    keys.size = { count: listing.keys.length, rowHeight, height };
    this.length = scrollLength(rowHeight, height, counts);
    // A scroll bar takes its width from the window, so it has to be there before the width is read.
    placeElements(this.elements, this.layout, height + this.length);
    const [queryText, keyText] = [queries, keys].map(textWidth);
    this.layout = headLayout(scroller.clientWidth, height, queryText ?? 0, keyText ?? 0);
    queries.setRoom(this.layout.queryText.width - TEXT_PADDING, measureLike(queries.element, BOLD));
    keys.setRoom(this.layout.keyText.width - TEXT_PADDING, measureLike(keys.element, BOLD));
    placeElements(this.elements, this.layout, height + this.length);
    this.move();
  }

  /** Moves both columns to where the scroll bar is. */
  move(): void {
    const { scroller, queries, keys } = this.elements;
    for (const column of [queries, keys]) column.show(column.size, columnOffset(column.size, scroller.scrollTop, this.length));
  }

  /** Brings a row into the window with the least movement. */
  reveal(column: TokenColumn, row: number): void {
    const { scroller } = this.elements;
    const wanted = scrolledTo(column.size, row, scroller.scrollTop, this.length);
    // Rounded away from the row's side, as the browser keeps whole device pixels.
    if (Math.abs(wanted - scroller.scrollTop) >= 1) scroller.scrollTop = wanted > scroller.scrollTop ? Math.ceil(wanted) : Math.floor(wanted);
    this.move();
  }

  /** Brings a row that is not in the window into its middle. */
  goTo(column: TokenColumn, row: number): void {
    const before = this.elements.scroller.scrollTop;
    this.reveal(column, row);
    if (this.elements.scroller.scrollTop === before) return;
    this.centre(column, row);
    this.move();
  }

  /** Brings a row into the middle of the window. */
  centre(column: TokenColumn, row: number): void {
    const { scroller } = this.elements;
    const { count, rowHeight, height } = column.size;
    const own = count * rowHeight - height;
    if (own > 0) scroller.scrollTop = (((row + 0.5) * rowHeight - height / 2) * this.length) / own;
  }
}

function textWidth(column: TokenColumn): number {
  const labels = Array.from({ length: column.count }, (_, row) => column.token(row)?.text ?? "");
  return usualWidth(labels, measureLike(column.element, BOLD));
}
