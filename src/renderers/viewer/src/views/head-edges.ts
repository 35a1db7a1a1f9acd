/** Marks along the window's edge: the whole length of a column that does not fit, what is in sight, and where things are. */

import type { Colours } from "../draw/colours";
import type { ColumnSize } from "../draw/token-column-rows";
import type { Strip } from "./head-layout";

/** A row worth scrolling to. */
export interface EdgeMark {
  readonly row: number;
  readonly colour: string;
  readonly opacity: number;
}

const LEAST_MARK = 2;

export function hasEdge({ count, rowHeight, height }: ColumnSize): boolean {
  return count * rowHeight > height;
}

export function paintEdge(
  pen: CanvasRenderingContext2D,
  strip: Strip,
  { size, offset }: { readonly size: ColumnSize; readonly offset: number },
  marks: readonly EdgeMark[],
  colours: Colours,
): void {
  if (!hasEdge(size)) return;
  const scale = size.height / (size.count * size.rowHeight);
  pen.fillStyle = colours.surface;
  pen.fillRect(strip.left, 0, strip.width, size.height);
  pen.fillStyle = colours.line;
  pen.fillRect(strip.left, offset * scale, strip.width, Math.max(4, size.height * scale));
  for (const { row, colour, opacity } of marks) {
    pen.globalAlpha = opacity;
    pen.fillStyle = colour;
    pen.fillRect(strip.left, row * size.rowHeight * scale, strip.width, Math.max(LEAST_MARK, size.rowHeight * scale));
  }
  pen.globalAlpha = 1;
}

/** The row that a height on the edge stands for. */
export function rowOnEdge(size: ColumnSize, y: number): number {
  return Math.min(size.count - 1, Math.max(0, Math.floor((y / size.height) * size.count)));
}
