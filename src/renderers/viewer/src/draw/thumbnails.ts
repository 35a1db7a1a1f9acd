/** Small pictures of heads in a grid of layers and heads: their size, and their pixels. */

import { heatStep, type HeatPalette, type HeatRange } from "./heatmap";

export interface GridRoom {
  readonly width: number;
  readonly height: number;
  readonly layers: number;
  readonly heads: number;
}

export interface ThumbnailGrid {
  /** Side of a picture, and the space between two, in CSS pixels. */
  readonly side: number;
  readonly gap: number;
}

const SMALLEST = 26;
const LARGEST = 260;
/** A grid that fits is shown whole as long as its pictures are at least this large; else it scrolls. */
const LEGIBLE = 40;
const COMFORTABLE = 60;

/** The largest pictures with which the grid fits; where they would be too small, a size that shows something. */
export function thumbnailGrid({ width, height, layers, heads }: GridRoom): ThumbnailGrid {
  const across = width / Math.max(1, heads);
  const down = height / Math.max(1, layers);
  const gap = Math.min(across, down) < 34 ? 2 : 4;
  const whole = Math.floor(Math.min(across, down)) - gap;
  if (whole >= LEGIBLE) return { side: Math.min(LARGEST, whole), gap };
  return { side: Math.max(SMALLEST, Math.min(COMFORTABLE, Math.floor(across) - gap)), gap };
}

/** A tile's cells, row-major. */
export interface Cells {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/** Fills a square of `side` x `side` pixels; every pixel has the colour of the cell below it. */
export function paintThumbnail({ rows, columns, values }: Cells, pixels: Uint32Array, side: number, range: HeatRange, palette: HeatPalette): void {
  const colours = new Uint32Array(columns);
  let painted = -1;
  const columnOf = Int32Array.from({ length: side }, (_, x) => Math.floor((x * columns) / side));
  for (let y = 0; y < side; y++) {
    const row = Math.floor((y * rows) / side);
    if (row !== painted) {
      for (let column = 0; column < columns; column++) colours[column] = colourOf(values[row * columns + column]!, range, palette);
      painted = row;
    }
    for (let x = 0; x < side; x++) pixels[y * side + x] = colours[columnOf[x]!]!;
  }
}

function colourOf(weight: number, range: HeatRange, palette: HeatPalette): number {
  return Number.isNaN(weight) ? palette.missing : palette.steps[heatStep(weight, range)]!;
}
