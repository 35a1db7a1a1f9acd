import { describe, expect, test } from "vitest";
import { coloursFor } from "../../src/draw/colours";
import { heatPalette, heatShare, heatStep, inkOn, largest, paintHeat } from "../../src/draw/heatmap";
import { divergingPalette, paintStrip } from "../../src/draw/heatmap-diverging";

const LINEAR = { scale: "linear", max: 0.5 } as const;
const LOG = { scale: "log", max: 1 } as const;

/** Red, green, blue and alpha of pixel `place`. */
function rgba(pixels: Uint32Array, place: number): number[] {
  return [...new Uint8Array(pixels.buffer, 4 * place, 4)];
}

describe("heatShare", () => {
  test("is the share of the largest weight on the linear scale", () => {
    expect([0, 0.125, 0.25, 0.5].map((weight) => heatShare(weight, LINEAR))).toEqual([0, 0.25, 0.5, 1]);
  });

  test("falls by a quarter with each power of ten on the logarithmic scale", () => {
    const shares = [1, 0.1, 0.01, 0.001, 0.0001, 0.00001].map((weight) => heatShare(weight, LOG));
    [1, 0.75, 0.5, 0.25, 0, 0].forEach((share, place) => expect(shares[place]).toBeCloseTo(share, 12));
  });

  test("is 0 for nothing, negative weights and not-a-number, and never above 1", () => {
    for (const range of [LINEAR, LOG]) {
      expect([0, -1, Number.NaN].map((weight) => heatShare(weight, range))).toEqual([0, 0, 0]);
      expect(heatShare(7, range)).toBe(1);
    }
    expect(heatShare(0.3, { scale: "linear", max: 0 })).toBe(0);
  });
});

test("a weight that is not 0 never has the colour of nothing on the linear scale", () => {
  expect(heatStep(1e-6, LINEAR)).toBe(1);
  expect(heatStep(0, LINEAR)).toBe(0);
});

test.each([false, true])("a known matrix gives the known pixels (dark: %s)", (dark) => {
  const colours = coloursFor(dark);
  const values = Float32Array.from([0, 0.25, 0.5, Number.NaN, -0.1, 0.001]);
  const pixels = new Uint32Array(values.length);
  paintHeat(values, pixels, LINEAR, heatPalette(colours));
  const table = (step: number): number[] => [...colours.heatTable.subarray(4 * step, 4 * step + 4)];
  expect(rgba(pixels, 0)).toEqual(table(0));
  expect(rgba(pixels, 1)).toEqual(table(128));
  expect(rgba(pixels, 2)).toEqual(table(255));
  expect(rgba(pixels, 4)).toEqual(table(0));
  expect(rgba(pixels, 5)).toEqual(table(1));
  const missing = [1, 3, 5].map((at) => Number.parseInt(colours.missing.slice(at, at + 2), 16));
  expect(rgba(pixels, 3)).toEqual([...missing, 255]);
});

test.each([false, true])("what the source does not hold looks like neither nothing nor not-a-number (dark: %s)", (dark) => {
  const palette = heatPalette(coloursFor(dark));
  const pixels = new Uint32Array(4);
  const values = Float32Array.from([0, Number.NaN, Number.NaN, 0.1]);
  paintHeat(values, pixels, LINEAR, palette, Float32Array.from([0, 0.002, Number.NaN, 0.2]));
  expect([...pixels]).toEqual([palette.steps[0], palette.leftOut, palette.missing, palette.steps[51]]);
  expect(new Set([palette.steps[0], palette.leftOut, palette.missing]).size).toBe(3);
  paintHeat(values, pixels, LINEAR, { steps: palette.steps, missing: palette.missing }, Float32Array.from([0, 0.002, Number.NaN, 0.2]));
  expect(pixels[1]).toBe(palette.missing);
});

test("numbers are dark on light cells and light on dark ones", () => {
  const light = coloursFor(false);
  expect(inkOn(0, LINEAR, light)).toBe("#111111");
  expect(inkOn(0.5, LINEAR, light)).toBe("#ffffff");
  const dark = coloursFor(true);
  expect(inkOn(0, LINEAR, dark)).toBe("#ffffff");
  expect(inkOn(0.5, LINEAR, dark)).toBe("#111111");
});

test("the largest weight is found among what is not a number", () => {
  expect(largest(Float32Array.from([0.25, Number.NaN, 0.75, 0.5]))).toBe(0.75);
  expect(largest(new Float32Array())).toBe(0);
});

test("a strip paints values in the order of the dimensions, and clips at the limit", () => {
  const colours = coloursFor(false);
  const palette = divergingPalette(colours);
  const pixels = new Uint32Array(4);
  paintStrip(Float32Array.from([2, -8, 0, Number.NaN]), [1, 2, 0, 3], 2, palette, pixels);
  const strongest = (value: number): number[] => {
    const numbers = /^rgb\((\d+), (\d+), (\d+)\)$/.exec(colours.diverging(value));
    const hex = colours.diverging(value);
    return numbers === null ? [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) : numbers.slice(1).map(Number);
  };
  expect(rgba(pixels, 0).slice(0, 3)).toEqual(strongest(-1));
  expect(rgba(pixels, 1).slice(0, 3)).toEqual(strongest(0));
  expect(rgba(pixels, 2).slice(0, 3)).toEqual(strongest(1));
  expect(pixels[3]).toBe(palette[255]);
});
