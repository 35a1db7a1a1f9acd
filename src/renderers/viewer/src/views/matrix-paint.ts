/** Paints the tiles of the matrix on a canvas as large as what is seen of it. */

import { isLeftOut, mostOf } from "../data/weights";
import { heatPalette, heatPicture, heatShare, heatStep, inkOn, leftOutColour, type HeatPalette } from "../draw/heatmap";
import type { Colours } from "../draw/colours";
import { FONT_FAMILY } from "../draw/rulers-draw";
import { boxOf, emptyRows, overviewResolution, resolutionOf, windowOf, type Scene } from "./matrix-scene";
import type { MatrixTile, Window } from "./matrix-tiles";

/** Cells get a gap between them from this size on, and numbers from these. Pixels. */
const GAP_FROM = 9;
const NUMBER_WIDTH = 29;
const NUMBER_HEIGHT = 15;
/** Cells of this width have room for three decimals, narrower ones for two. */
const LONG_NUMBER_WIDTH = 46;
const WHOLE_NUMBER_WIDTH = 64;
/** On cells as light as this, muted text can be read. */
const PALE = 0.1;

/** A number inside a cell: the middle of the cell in CSS pixels. */
export interface CellNumber {
  readonly x: number;
  readonly y: number;
  readonly text: string;
  readonly ink: string;
}

/** Remembers each tile's pixels until the scale, the largest weight or the theme changes. */
export class MatrixPainter {
  private readonly pictures = new WeakMap<MatrixTile, { stamp: string; canvas: HTMLCanvasElement }>();
  private palette: { colours: Colours; palette: HeatPalette } | null = null;

  /** True when some row in view holds no weight at all, and so was hatched. */
  paint(canvas: HTMLCanvasElement, scene: Scene): boolean {
    const { fit, density, colours } = scene;
    canvas.width = Math.max(1, Math.round(fit.width * density));
    canvas.height = Math.max(1, Math.round(fit.height * density));
    const pen = canvas.getContext("2d");
    if (pen === null) return false;
    pen.imageSmoothingEnabled = false;
    // What has not arrived looks unlike a weight of nothing.
    pen.fillStyle = colours.surface;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    const shown = tilesInView(scene);
    const large = Math.min(fit.cellWidth, fit.cellHeight) * scene.at.k >= GAP_FROM;
    for (const tile of shown) {
      if (large && tile.rowStep === 1 && tile.columnStep === 1) drawCells(pen, scene, tile);
      else this.place(pen, scene, tile);
    }
    return shown.filter((tile) => hatchEmptyRows(pen, scene, tile)).length > 0;
  }

  private place(pen: CanvasRenderingContext2D, scene: Scene, tile: MatrixTile): void {
    const { rowStep, columnStep, firstRow, firstColumn, rows, columns } = tile;
    // The last cell may stand for fewer rows than the others; it is drawn whole, and the edge of the canvas cuts it.
    const whole = { ...tile, lastRow: firstRow + rows * rowStep, lastColumn: firstColumn + columns * columnStep };
    const { x, y, width, height } = boxOf(scene, whole);
    const { density } = scene;
    const [left, top] = [Math.round(x * density), Math.round(y * density)];
    const [right, bottom] = [Math.round((x + width) * density), Math.round((y + height) * density)];
    pen.drawImage(this.pictureOf(scene, tile), left, top, right - left, bottom - top);
  }

  private pictureOf(scene: Scene, tile: MatrixTile): HTMLCanvasElement {
    const { range, colours } = scene;
    const stamp = `${range.scale} ${range.max} ${colours.dark}`;
    const known = this.pictures.get(tile);
    if (known?.stamp === stamp) return known.canvas;
    if (this.palette?.colours !== colours) this.palette = { colours, palette: heatPalette(colours) };
    const canvas = heatPicture(tile.values, tile.rows, tile.columns, range, this.palette.palette, tile.most);
    this.pictures.set(tile, { stamp, canvas });
    return canvas;
  }
}

/** Cell by cell, with a thin gap between them, so that neighbours of one colour can be counted. */
function drawCells(pen: CanvasRenderingContext2D, scene: Scene, tile: MatrixTile): void {
  const { at, fit, density, colours, range } = scene;
  const window = overlapOf(tile, windowOf(scene));
  const gap = Math.max(1, Math.round(density));
  const column = (index: number): number => Math.round((at.x + index * fit.cellWidth * at.k) * density);
  const row = (index: number): number => Math.round((at.y + index * fit.cellHeight * at.k) * density);
  const nothing = colours.heat(0);
  const [left, top] = [column(window.firstColumn), row(window.firstRow)];
  const [width, height] = [column(window.lastColumn) - left, row(window.lastRow) - top];
  // Of a file of the largest weights most cells are not held: they are painted at once, and the gaps after them.
  pen.fillStyle = tile.most === undefined ? nothing : leftOutPattern(pen, scene);
  pen.fillRect(left, top, width, height);
  for (let i = window.firstRow; i < window.lastRow; i += 1) {
    for (let j = window.firstColumn; j < window.lastColumn; j += 1) {
      const place = (i - tile.firstRow) * tile.columns + j - tile.firstColumn;
      const weight = tile.values[place] ?? 0;
      const step = heatStep(weight, range);
      const asBehind = tile.most === undefined ? step === 0 && !Number.isNaN(weight) : isLeftOut(weight, mostOf(tile, place));
      if (asBehind) continue;
      pen.fillStyle = Number.isNaN(weight) ? colours.missing : tableColour(colours, step);
      pen.fillRect(column(j), row(i), column(j + 1) - column(j) - gap, row(i + 1) - row(i) - gap);
    }
  }
  pen.fillStyle = nothing;
  for (let j = window.firstColumn + 1; j <= window.lastColumn; j += 1) pen.fillRect(column(j) - gap, top, gap, height);
  for (let i = window.firstRow + 1; i <= window.lastRow; i += 1) pen.fillRect(left, row(i) - gap, width, gap);
}

function overlapOf(tile: MatrixTile, window: Window): Window {
  return {
    firstRow: Math.max(tile.firstRow, window.firstRow),
    lastRow: Math.min(tile.lastRow, window.lastRow),
    firstColumn: Math.max(tile.firstColumn, window.firstColumn),
    lastColumn: Math.min(tile.lastColumn, window.lastColumn),
  };
}

/** Hatching for weights that the source does not hold; it goes on from cell to cell. */
function leftOutPattern(pen: CanvasRenderingContext2D, { colours, density }: Scene): CanvasPattern | string {
  const size = Math.round(6 * density);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const tile = canvas.getContext("2d");
  if (tile === null) return leftOutColour(colours);
  tile.fillStyle = leftOutColour(colours);
  tile.fillRect(0, 0, size, size);
  tile.strokeStyle = colours.missing;
  tile.lineWidth = density;
  tile.globalAlpha = 0.6;
  tile.beginPath();
  // The line and its neighbours', of which a corner reaches into this square.
  for (const shift of [-size, 0, size]) {
    tile.moveTo(shift, size);
    tile.lineTo(shift + size, 0);
  }
  tile.stroke();
  return pen.createPattern(canvas, "repeat") ?? leftOutColour(colours);
}

/** A step of the palette as CSS, looked up and not interpolated: it is asked for thousands of cells at a time. */
function tableColour({ heatTable }: Colours, step: number): string {
  return `rgb(${heatTable.subarray(4 * step, 4 * step + 3).join()})`;
}

/** Tiles at the resolution of the screen, above the coarse ones of the whole where some are still to come. */
function tilesInView(scene: Scene): MatrixTile[] {
  const { tiles, fit, density } = scene;
  const [window, resolution] = [windowOf(scene), resolutionOf(scene)];
  const fine = tiles.loaded(window, resolution);
  if (tiles.complete(window, resolution)) return fine;
  return [...tiles.loaded(window, overviewResolution(fit, density)), ...fine];
}

function hatchEmptyRows(pen: CanvasRenderingContext2D, scene: Scene, tile: MatrixTile): boolean {
  if (tile.firstColumn > 0 || tile.lastColumn < scene.fit.columns) return false;
  const empty = emptyRows(tile);
  for (const row of empty) {
    const firstRow = tile.firstRow + row * tile.rowStep;
    const lastRow = Math.min(tile.lastRow, firstRow + tile.rowStep);
    const { x, y, width, height } = boxOf(scene, { ...tile, firstRow, lastRow });
    hatch(pen, x * scene.density, y * scene.density, width * scene.density, height * scene.density, scene);
  }
  return empty.length > 0;
}

function hatch(pen: CanvasRenderingContext2D, x: number, y: number, width: number, height: number, scene: Scene): void {
  pen.save();
  pen.beginPath();
  pen.rect(x, y, width, height);
  pen.clip();
  pen.strokeStyle = scene.colours.line;
  pen.lineWidth = scene.density;
  pen.beginPath();
  const gap = 6 * scene.density;
  // The lines go on from row to row, as their phase depends on x + y alone.
  for (let sum = Math.ceil((x + y) / gap) * gap; sum < x + width + y + height; sum += gap) {
    pen.moveTo(sum - y, y);
    pen.lineTo(sum - y - height, y + height);
  }
  pen.stroke();
  pen.restore();
}

/** How many decimals the source is good for, and a weight's text where there is room for all of it. */
export interface NumberStyle {
  readonly decimals: number;
  format(weight: number): string;
}

/**
 * Numbers inside the cells in view; none while the cells are small, pooled or still to come.
 *
 * All have as many decimals as fit: the eye compares them by their length. A weight too small for them says so.
 */
export function cellNumbers(scene: Scene, style: NumberStyle): CellNumber[] {
  const { fit, at, tiles, range, colours } = scene;
  const [wide, high] = [fit.cellWidth * at.k, fit.cellHeight * at.k];
  const resolution = resolutionOf(scene);
  if (wide < NUMBER_WIDTH || high < NUMBER_HEIGHT || resolution.rowStep > 1 || resolution.columnStep > 1) return [];
  const window = windowOf(scene);
  return tiles.loaded(window, resolution).flatMap((tile) => {
    const numbers: CellNumber[] = [];
    for (let row = Math.max(tile.firstRow, window.firstRow); row < Math.min(tile.lastRow, window.lastRow); row += 1) {
      for (let column = Math.max(tile.firstColumn, window.firstColumn); column < Math.min(tile.lastColumn, window.lastColumn); column += 1) {
        const place = (row - tile.firstRow) * tile.columns + column - tile.firstColumn;
        const weight = tile.values[place] ?? 0;
        // Its hatching says that it is not known.
        if (isLeftOut(weight, mostOf(tile, place))) continue;
        const decimals = Math.min(style.decimals, wide >= LONG_NUMBER_WIDTH ? 3 : 2);
        const short = boundedText(numberText(weight, decimals), numberText(mostOf(tile, place), decimals), wide);
        const small = short.startsWith("<");
        const text = small && wide >= WHOLE_NUMBER_WIDTH ? style.format(weight) : short;
        const [x, y] = [at.x + (column + 0.5) * wide, at.y + (row + 0.5) * high];
        // Numbers too small for their decimals say little: they stay in the background.
        const ink = small && heatShare(weight, range) < PALE ? colours.muted : inkOn(weight, range, colours);
        if (text !== "") numbers.push({ x, y, text, ink });
      }
    }
    return numbers;
  });
}

/** What a weight is at least, where only a part of it is held; narrow cells have no room to say so. */
export function boundedText(text: string, most: string, wide: number): string {
  if (most === text) return text;
  return text === "" || text.startsWith("<") || wide < LONG_NUMBER_WIDTH ? "" : `≥${text}`;
}

/** Nothing is written for exactly nothing: masked keys stay empty, and the eye finds the others. */
export function numberText(weight: number, decimals: number): string {
  if (weight === 0) return "";
  if (Number.isNaN(weight)) return "NaN";
  const text = weight.toFixed(decimals).replace("-", "−");
  return Number(weight.toFixed(decimals)) === 0 ? `<.${"0".repeat(Math.max(0, decimals - 1))}1` : text;
}

export function drawNumbers(canvas: HTMLCanvasElement, numbers: readonly CellNumber[], density: number): void {
  const pen = canvas.getContext("2d");
  if (pen === null) return;
  pen.font = `${11 * density}px ${FONT_FAMILY}`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  for (const { x, y, text, ink } of numbers) {
    pen.fillStyle = ink;
    pen.fillText(text, x * density, y * density);
  }
}
