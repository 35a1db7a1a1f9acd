/** From weights to colours: how dark a weight is, and the painting of blocks of weights as pixels. */

import { rgb } from "d3-color";
import { interpolateLab } from "d3-interpolate";
import { isLeftOut } from "../data/weights";
import type { WeightScale } from "../state/selection";
import type { Colours } from "./colours";

/** The logarithmic scale shows this many powers of ten below the largest weight. */
export const LOG_DECADES = 4;

/** What the ends of the colour scale stand for: 0 (or the last decade) and `max`. */
export interface HeatRange {
  readonly scale: WeightScale;
  readonly max: number;
}

/** Colours as pixels: 256 steps from nothing to the largest weight, one for not-a-number, one for what is not held. */
export interface HeatPalette {
  readonly steps: Uint32Array;
  readonly missing: number;
  /** As `missing` where it is not given. */
  readonly leftOut?: number;
}

/** The colour of a weight that the source does not hold: neither that of nothing nor that of not-a-number. */
export function leftOutColour(colours: Colours): string {
  return interpolateLab(colours.background, colours.missing)(0.3);
}

export function heatPalette(colours: Colours): HeatPalette {
  const others = [colours.missing, leftOutColour(colours)].flatMap((colour) => {
    const { r, g, b } = rgb(colour);
    return [r, g, b, 255];
  });
  const words = new Uint32Array(Uint8ClampedArray.from([...colours.heatTable, ...others]).buffer);
  return { steps: words.subarray(0, 256), missing: words[256] ?? 0, leftOut: words[257] ?? 0 };
}

/** How dark a weight is, 0 to 1. Nothing, negative weights and not-a-number are 0. */
export function heatShare(weight: number, range: HeatRange): number {
  if (!(weight > 0) || !(range.max > 0)) return 0;
  const share = weight / range.max;
  return Math.min(1, range.scale === "linear" ? share : Math.max(0, 1 + Math.log10(share) / LOG_DECADES));
}

/** The step of the palette for a weight; 0 only for weights that are 0, or below the last decade. */
export function heatStep(weight: number, range: HeatRange): number {
  const share = heatShare(weight, range);
  return share > 0 ? Math.max(1, Math.round(share * 255)) : 0;
}

/** Paints `values` (row-major) into `pixels`, one pixel a value; `most` is what each is at most, as in `Tile`. */
export function paintHeat(values: Float32Array, pixels: Uint32Array, range: HeatRange, palette: HeatPalette, most?: Float32Array): void {
  const { steps, missing, leftOut = missing } = palette;
  for (let place = 0; place < values.length; place += 1) {
    const weight = values[place] ?? 0;
    if (!Number.isNaN(weight)) pixels[place] = steps[heatStep(weight, range)] ?? 0;
    else pixels[place] = isLeftOut(weight, most?.[place] ?? weight) ? leftOut : missing;
  }
}

/** A canvas of one pixel a value, to be enlarged without smoothing. */
export function heatPicture(
  values: Float32Array,
  rows: number,
  columns: number,
  range: HeatRange,
  palette: HeatPalette,
  most?: Float32Array,
): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  const pen = canvas.getContext("2d");
  if (pen === null) return canvas;
  const image = pen.createImageData(columns, rows);
  paintHeat(values, new Uint32Array(image.data.buffer), range, palette, most);
  pen.putImageData(image, 0, 0);
  return canvas;
}

/** Black or white, whichever is easier to read on the colour of a weight (WCAG 2 relative luminance). */
export function inkOn(weight: number, range: HeatRange, colours: Colours): string {
  const step = Number.isNaN(weight) ? null : heatStep(weight, range) * 4;
  const shade = rgb(colours.missing);
  const parts = step === null ? [shade.r, shade.g, shade.b] : [...colours.heatTable.subarray(step, step + 3)];
  const [red = 0, green = 0, blue = 0] = parts.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  // Contrast with white equals contrast with black at 0.179.
  return luminance > 0.179 ? "#111111" : "#ffffff";
}

/** The largest weight among `values`, not counting what is not a number. */
export function largest(values: Float32Array): number {
  let found = 0;
  for (const value of values) if (value > found) found = value;
  return found;
}
