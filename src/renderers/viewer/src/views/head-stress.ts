/** The line that the pointer is at, over the picture of all lines, which stands back as long. */

import { opacity, strongStyle, type LineStyle } from "../draw/lines";
import { linePath } from "../draw/lines-svg";
import { heightsOf } from "./head-ends";
import type { HeadPictureParts } from "./head-picture";

/** How much of the other lines the background hides. */
const VEIL = 0.72;
/** What the same pair's lines of other heads keep of their opacity. */
const COMPANION = 0.6;
/** The pointed line is never thinner. */
const POINTED_WIDTH = 2.4;
const MOST_PIXELS_PER_PIXEL = 2;

export class HeadStress {
  readonly canvas = document.createElement("canvas");

  constructor() {
    this.canvas.className = "attn-columns-canvas attn-columns-stress";
    this.canvas.setAttribute("aria-hidden", "true");
    this.canvas.hidden = true;
  }

  clear(): void {
    this.canvas.hidden = true;
  }

  /** `line` is a place in the buffer of lines. */
  paint(parts: HeadPictureParts, line: number): void {
    const { layout, colours, lines } = parts;
    const pen = this.resized(parts);
    if (pen === null) return;
    pen.fillStyle = colours.background;
    pen.globalAlpha = VEIL;
    pen.fillRect(0, 0, layout.lines.width, layout.height);
    const [query, key] = [lines.query[line]!, lines.key[line]!];
    for (const other of parts.order) {
      if (other === line || lines.query[other] !== query || lines.key[other] !== key) continue;
      pen.globalAlpha = COMPANION * opacity(lines.level[other]!, parts.style);
      this.draw(pen, parts, other, parts.style);
    }
    pen.globalAlpha = 1;
    this.draw(pen, parts, line, { ...strongStyle(parts.style), thinnest: POINTED_WIDTH });
    this.canvas.hidden = false;
  }

  private draw(pen: CanvasRenderingContext2D, parts: HeadPictureParts, line: number, style: LineStyle): void {
    const { from: y0, to: y1 } = heightsOf(parts, line);
    const { lines, layout, seriesColours } = parts;
    const path = new Path2D(linePath({ x0: 0, y0, x1: layout.lines.width, y1 }, lines.level[line]!, style));
    pen.fillStyle = seriesColours[lines.series[line]!]!;
    pen.fill(path);
  }

  private resized({ layout }: HeadPictureParts): CanvasRenderingContext2D | null {
    const scale = Math.min(MOST_PIXELS_PER_PIXEL, window.devicePixelRatio || 1);
    const { left, width } = layout.lines;
    this.canvas.width = Math.max(1, Math.round(width * scale));
    this.canvas.height = Math.max(1, Math.round(layout.height * scale));
    this.canvas.style.left = `${left}px`;
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${layout.height}px`;
    const pen = this.canvas.getContext("2d");
    pen?.setTransform(scale, 0, 0, scale, 0, 0);
    return pen;
  }
}
