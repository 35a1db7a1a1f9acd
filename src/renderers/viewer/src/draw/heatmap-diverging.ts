/** Strips of positive and negative numbers, as vectors are: one pixel a number, to be stretched without smoothing. */

import { rgb } from "d3-color";
import type { Colours } from "./colours";

const STEPS = 255;

/** 255 pixels from the most negative to the most positive; the middle one is 0. The last, 256th, is not-a-number. */
export function divergingPalette(colours: Colours): Uint32Array {
  const shades = Array.from({ length: STEPS }, (_, step) => colours.diverging((2 * step) / (STEPS - 1) - 1));
  const bytes = [...shades, colours.missing].flatMap((shade) => {
    const { r, g, b } = rgb(shade);
    return [r, g, b, 255];
  });
  return new Uint32Array(Uint8ClampedArray.from(bytes).buffer);
}

/** Paints `values[order[i]]` into pixel i; what is beyond `limit` has the strongest colour. */
export function paintStrip(values: Float32Array, order: readonly number[], limit: number, palette: Uint32Array, pixels: Uint32Array): void {
  order.forEach((dimension, pixel) => {
    const value = values[dimension] ?? 0;
    const share = Math.min(1, Math.max(-1, value / limit));
    pixels[pixel] = palette[Number.isNaN(share) ? STEPS : Math.round(((share + 1) / 2) * (STEPS - 1))] ?? 0;
  });
}

/** Makes `canvas` one pixel high and as wide as there are numbers. */
export function drawStrip(canvas: HTMLCanvasElement, values: Float32Array, order: readonly number[], limit: number, palette: Uint32Array): void {
  if (canvas.width !== order.length) canvas.width = order.length;
  if (canvas.height !== 1) canvas.height = 1;
  const pen = canvas.getContext("2d");
  if (pen === null || order.length === 0) return;
  const image = pen.createImageData(order.length, 1);
  paintStrip(values, order, limit, palette, new Uint32Array(image.data.buffer));
  pen.putImageData(image, 0, 0);
}
