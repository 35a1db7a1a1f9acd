/** Paints the head view's canvas, which is as large as the window and lies behind the two columns of tokens. */

import { rgb } from "d3-color";
import type { Colours } from "../draw/colours";
import { strongStyle, type LineBuffer, type LineStyle } from "../draw/lines";
import { LineRaster, type Rgb } from "../draw/lines-raster";
import type { ColumnSize } from "../draw/token-column-rows";
import { paintEdge, type EdgeMark } from "./head-edges";
import { heightsOf, standsOut } from "./head-ends";
import type { Figures } from "./head-figures";
import { NUMBER_WIDTH, type HeadLayout, type Strip } from "./head-layout";
import type { Scene } from "./head-scene";

/** Beyond this, more pixels cost time and show nothing more. */
const MOST_PIXELS_PER_PIXEL = 2;
const BAR_GAP = 6;
const TINT = 0.36;

export interface ColumnPlace {
  readonly size: ColumnSize;
  readonly offset: number;
}

export interface HeadPictureParts {
  readonly layout: HeadLayout;
  readonly queries: ColumnPlace;
  readonly keys: ColumnPlace;
  readonly colours: Colours;
  /** One a series. */
  readonly seriesColours: readonly string[];
  readonly style: LineStyle;
  readonly scene: Scene;
  readonly figures: Figures | null;
  readonly lines: LineBuffer;
  /** The lines to draw, in this order. */
  readonly order: Int32Array;
  readonly queryMarks: readonly EdgeMark[];
  readonly keyMarks: readonly EdgeMark[];
}

export class HeadPicture {
  readonly canvas = document.createElement("canvas");
  private readonly raster = new LineRaster();

  constructor() {
    this.canvas.className = "attn-columns-canvas";
    this.canvas.setAttribute("aria-hidden", "true");
  }

  paint(parts: HeadPictureParts): void {
    const { layout, colours } = parts;
    const scale = Math.min(MOST_PIXELS_PER_PIXEL, window.devicePixelRatio || 1);
    this.resize(layout, scale);
    const pen = this.canvas.getContext("2d");
    if (pen === null) return;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const left = Math.round(layout.lines.left * scale);
    const across = Math.round(layout.lines.width * scale);
    // A page in a hidden cell or tab has no size, and pixels cannot be made for none.
    if (across < 1 || this.canvas.height < 1) return;
    this.raster.resize(across, this.canvas.height, scale);
    this.raster.clear(bytes(colours.background));
    this.paintLines(parts, scale);
    pen.putImageData(this.raster.image, left, 0);
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    paintFigures(pen, parts);
    paintEdge(pen, layout.queryEdge, parts.queries, parts.queryMarks, colours);
    paintEdge(pen, layout.keyEdge, parts.keys, parts.keyMarks, colours);
  }

  private resize({ width, height }: HeadLayout, scale: number): void {
    const [across, down] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.canvas.width === across && this.canvas.height === down) return;
    this.canvas.width = across;
    this.canvas.height = down;
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
  }

  private paintLines(parts: HeadPictureParts, scale: number): void {
    const { lines, scene, style } = parts;
    const ink = parts.seriesColours.map(bytes);
    const strong = strongStyle(style);
    for (const line of drawingOrder(parts)) {
      const series = lines.series[line]!;
      const key = lines.key[line]!;
      const { from, to, fade } = heightsOf(parts, line);
      const look = standsOut(scene, key) ? strong : style;
      this.raster.line(from * scale, to * scale, lines.level[line]!, look, ink[series]!, fade);
    }
  }
}

/** Weakest first; the lines of a pair that stands out come last, on top of all others. */
export function drawingOrder({ order, scene, lines }: Pick<HeadPictureParts, "order" | "scene" | "lines">): Int32Array {
  if (scene.kind !== "query" || scene.other === null) return order;
  const isOut = (line: number): boolean => standsOut(scene, lines.key[line]!);
  return Int32Array.of(...order.filter((line) => !isOut(line)), ...order.filter(isOut));
}

export function bytes(colour: string): Rgb {
  const { r, g, b } = rgb(colour);
  return [r, g, b];
}

/** The tint and the bar of every token on the other side of the scene's token. */
function paintFigures(pen: CanvasRenderingContext2D, parts: HeadPictureParts): void {
  const { figures } = parts;
  if (figures === null || figures.topMean <= 0) return;
  for (const shape of figureShapes(parts, figures)) {
    pen.globalAlpha = shape.opacity;
    pen.fillStyle = shape.fill;
    pen.fillRect(shape.x, shape.y, shape.width, shape.height);
  }
  pen.globalAlpha = 1;
}

export interface FigureShape {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly fill: string;
  readonly opacity: number;
}

/** Rectangles behind and beside the tokens in the window; the same on the canvas and in an export. */
export function figureShapes(parts: HeadPictureParts, figures: Figures): FigureShape[] {
  const { layout, colours, seriesColours } = parts;
  const onKeys = figures.kind === "query";
  const { size, offset } = onKeys ? parts.keys : parts.queries;
  const text = onKeys ? layout.keyText : layout.queryText;
  const strip = onKeys ? layout.keyFigures : layout.queryFigures;
  const tint = seriesColours.length === 1 ? seriesColours[0]! : colours.accent;
  const first = Math.max(0, Math.floor(offset / size.rowHeight));
  const last = Math.min(size.count, Math.ceil((offset + size.height) / size.rowHeight));
  const shapes: FigureShape[] = [];
  for (let row = first; row < last; row++) {
    const share = figures.mean[row]! / figures.topMean;
    if (!(share > 0)) continue;
    const y = row * size.rowHeight - offset;
    shapes.push({ x: text.left, y: y + 1, width: text.width, height: size.rowHeight - 2, fill: tint, opacity: TINT * share });
    shapes.push(...barShapes(figures, row, y, strip, size.rowHeight, onKeys, seriesColours));
  }
  return shapes;
}

/** One bar as long as the mean, made up of what each head contributes to it. */
function barShapes(
  figures: Figures, row: number, top: number, strip: Strip, rowHeight: number, onKeys: boolean, fills: readonly string[],
): FigureShape[] {
  const room = strip.width - NUMBER_WIDTH - 2 * BAR_GAP;
  if (room <= 0) return [];
  const there = figures.bySeries.filter((values) => values !== null).length;
  const height = Math.min(12, rowHeight - 8);
  const y = top + (rowHeight - height) / 2;
  const shapes: FigureShape[] = [];
  let x = onKeys ? strip.left + BAR_GAP : strip.left + strip.width - BAR_GAP;
  figures.bySeries.forEach((values, series) => {
    const width = ((values?.[row] ?? 0) / there / figures.topMean) * room;
    if (!(width > 0.05)) return;
    if (!onKeys) x -= width;
    shapes.push({ x, y, width, height, fill: fills[series]!, opacity: 1 });
    if (onKeys) x += width;
  });
  return shapes;
}
