/** Small pictures of heads in a grid: their size, and their pixels. */

import { isLeftOut } from "../data/weights";
import type { ThumbnailScale } from "../state/selection";
import { LOG_DECADES, type HeatPalette } from "./heatmap";

export interface GridRoom {
  readonly width: number;
  readonly height: number;
  readonly rows: number;
  readonly columns: number;
  /** Height of the words below each picture; 0 without. */
  readonly caption: number;
}

export interface ThumbnailGrid {
  /** Side of a picture, the space between two, and the words below each, in CSS pixels. */
  readonly side: number;
  readonly gap: number;
  readonly caption: number;
}

const SMALLEST = 26;
const LARGEST = 260;
/** A grid that fits is shown whole as long as its pictures are at least this large; else it scrolls. */
const LEGIBLE = 40;
const COMFORTABLE = 60;

/** The largest pictures with which the grid fits; where they would be too small, a size that shows something. */
export function thumbnailGrid({ width, height, rows, columns, caption }: GridRoom): ThumbnailGrid {
  const across = width / Math.max(1, columns);
  const down = height / Math.max(1, rows) - caption;
  const gap = Math.min(across, down) < 34 ? 2 : 4;
  const whole = Math.floor(Math.min(across, down)) - gap;
  const side = whole >= LEGIBLE ? Math.min(LARGEST, whole) : Math.max(SMALLEST, Math.min(COMFORTABLE, Math.floor(across) - gap));
  return { side, gap, caption };
}

/** From one picture to the one below. */
export function rowStep({ side, gap, caption }: ThumbnailGrid): number {
  return side + gap + caption;
}

/** In a list, pictures are about this large; there are as many in a row as fit. */
const LISTED = 84;
const FEWEST_COLUMNS = 3;

export function columnsOfList(width: number, count: number): number {
  return Math.max(1, Math.min(count, Math.max(FEWEST_COLUMNS, Math.floor(width / LISTED))));
}

/** What the darkest colour stands for, and how colours go there from nothing. */
export interface ThumbnailRange {
  readonly scale: ThumbnailScale;
  readonly max: number;
}

/** How dark a weight is, 0 to 1. The root lifts weak weights, among which one strong one would else leave nothing to see. */
export function thumbnailShare(weight: number, { scale, max }: ThumbnailRange): number {
  if (!(weight > 0) || !(max > 0)) return 0;
  const share = Math.min(1, weight / max);
  if (scale === "root") return Math.sqrt(share);
  return scale === "linear" ? share : Math.max(0, 1 + Math.log10(share) / LOG_DECADES);
}

/** A tile's cells, row-major. */
export interface Cells {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
  /** What each is at most, as in `Tile`. */
  readonly most?: Float32Array | undefined;
}

/** Fills a square of `side` x `side` pixels; every pixel has the colour of the cell below it. */
export function paintThumbnail({ rows, columns, values, most = values }: Cells, pixels: Uint32Array, side: number, range: ThumbnailRange, palette: HeatPalette): void {
  const colours = new Uint32Array(columns);
  let painted = -1;
  for (let y = 0; y < side; y++) {
    const row = Math.floor((y * rows) / side);
    if (row === painted) {
      pixels.copyWithin(y * side, (y - 1) * side, y * side);
      continue;
    }
    painted = row;
    for (let column = 0; column < columns; column++) {
      const cell = row * columns + column;
      colours[column] = colourOf(values[cell]!, most[cell]!, range, palette);
    }
    for (let x = 0; x < side; x++) pixels[y * side + x] = colours[Math.floor((x * columns) / side)]!;
  }
}

/** Only what is nothing, or below the last decade, has the background's colour. */
function colourOf(weight: number, most: number, range: ThumbnailRange, palette: HeatPalette): number {
  if (Number.isNaN(weight)) return isLeftOut(weight, most) ? (palette.leftOut ?? palette.missing) : palette.missing;
  const share = thumbnailShare(weight, range);
  return palette.steps[share > 0 ? Math.max(1, Math.round(share * 255)) : 0]!;
}
