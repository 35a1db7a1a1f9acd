/**
 * Paints many tapered lines into pixels, faster than a canvas path for each.
 *
 * Every line goes from the picture's left edge to its right edge, so it is painted column by column: in each column it
 * covers a span of pixels, of which the first and the last are covered in part. The picture is opaque.
 */

import { ARROW_LENGTH, STEEPEST, TAPER, arrowSize, lineWidth, opacity, rise, riseSlope, type LineStyle } from "./lines";

/** Red, green and blue, 0 to 255. */
export type Rgb = readonly [number, number, number];

export class LineRaster {
  /** The picture in the form that a canvas takes. */
  image: ImageData;
  private pixels: Uint32Array;
  private rises = new Float32Array(0);
  private slopes = new Float32Array(0);
  private tapers = new Float32Array(0);
  private arrows = new Float32Array(0);
  /** Columns of an arrow's head. */
  private tip = 0;
  private scale = 1;

  constructor() {
    this.image = new ImageData(1, 1);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  /** Size in device pixels; `scale` is device pixels per CSS pixel. */
  resize(width: number, height: number, scale: number): void {
    if (this.image.width === width && this.image.height === height && this.scale === scale) return;
    this.scale = scale;
    this.image = new ImageData(width, height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.rises = new Float32Array(width);
    this.slopes = new Float32Array(width);
    this.tapers = new Float32Array(width);
    this.arrows = new Float32Array(width);
    const arrow = ARROW_LENGTH * scale;
    for (let x = 0; x < width; x++) {
      const share = (x + 0.5) / width;
      const left = width - x - 0.5;
      this.rises[x] = rise(share);
      this.slopes[x] = riseSlope(share) / width;
      this.tapers[x] = 1 - (1 - TAPER) * share;
      this.arrows[x] = left < arrow ? left / arrow : 0;
    }
    this.tip = this.arrows.reduce((count, share) => count + (share > 0 ? 1 : 0), 0);
  }

  clear([red, green, blue]: Rgb): void {
    this.pixels.fill((0xff000000 | (blue << 16) | (green << 8) | red) >>> 0);
  }

  /**
   * One line from the height `from` at the left edge to `to` at the right edge, both in device pixels.
   *
   * All in one loop: with a function for each column's span and one for each pixel it takes twice as long.
   */
  line(from: number, to: number, level: number, style: LineStyle, [red, green, blue]: Rgb, fade: number): void {
    const { width, height } = this.image;
    const { pixels, rises, slopes, tapers } = this;
    const full = opacity(level, style) * fade * 256;
    const half = (lineWidth(level, style) * this.scale) / 2;
    const arrow = arrowSize(level, style) * this.scale;
    const shaft = arrow > 0 ? width - this.tip : width;
    const redBlue = (blue << 16) | red;
    const greenAlpha = 0xff0000 | green;
    const drop = to - from;
    const steepness = Math.abs(drop);
    for (let x = 0; x < width; x++) {
      const slope = steepness * slopes[x]!;
      const across = x < shaft ? half * tapers[x]! : arrow * this.arrows[x]!;
      // Measured straight up and down, a steep line is thicker than across; a very steep one is drawn thinner, or a
      // few of them would fill the picture.
      const stretched = across * Math.min(STEEPEST, Math.sqrt(1 + slope * slope));
      // A span reaches to the one in the next column, or the line would fall apart into dashes.
      const thick = Math.max(stretched, slope / 2);
      const cover = full * Math.min(1, stretched / thick);
      const centre = from + drop * rises[x]!;
      const top = Math.max(0, centre - thick);
      const bottom = Math.min(height, centre + thick);
      for (let y = top | 0; y < bottom; y++) {
        // Of the first and the last pixel only a part is covered. Two channels at a time, rounded.
        const share = ((Math.min(bottom, y + 1) - Math.max(top, y)) * cover) | 0;
        const rest = 256 - share;
        const below = pixels[y * width + x]!;
        const even = Math.imul(below & 0xff00ff, rest) + Math.imul(redBlue, share) + 0x800080;
        const odd = Math.imul((below >>> 8) & 0xff00ff, rest) + Math.imul(greenAlpha, share) + 0x800080;
        pixels[y * width + x] = ((even >>> 8) & 0xff00ff) | (odd & 0xff00ff00);
      }
    }
  }
}
