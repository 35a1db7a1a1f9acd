import { expect, it } from "vitest";
import type { HeatPalette } from "../../src/draw/heatmap";
import { paintThumbnail, thumbnailGrid } from "../../src/draw/thumbnails";

it("makes pictures as large as fit, where they are legible", () => {
  const { side, gap } = thumbnailGrid({ width: 900, height: 600, layers: 12, heads: 12 });
  expect(side + gap).toBeLessThanOrEqual(600 / 12);
  expect(side + gap).toBeGreaterThan(600 / 12 - 1);
});

it("scrolls down rather than show specks, and right when there are very many heads", () => {
  expect(thumbnailGrid({ width: 900, height: 600, layers: 48, heads: 12 }).side).toBe(60);
  expect(thumbnailGrid({ width: 900, height: 600, layers: 48, heads: 96 }).side).toBe(26);
});

it("does not blow up a single head without end", () => {
  expect(thumbnailGrid({ width: 2000, height: 2000, layers: 1, heads: 1 }).side).toBe(260);
});

const palette: HeatPalette = { steps: Uint32Array.from({ length: 256 }, (_, step) => step), missing: 999 };

it("gives every pixel the colour of its cell", () => {
  const pixels = new Uint32Array(16);
  const values = Float32Array.from([1, 0, Number.NaN, 0.5]);
  paintThumbnail({ rows: 2, columns: 2, values }, pixels, 4, { scale: "linear", max: 1 }, palette);
  expect([...pixels]).toEqual([255, 255, 0, 0, 255, 255, 0, 0, 999, 999, 128, 128, 999, 999, 128, 128]);
});

it("spreads three columns over four pixels without a gap", () => {
  const pixels = new Uint32Array(16);
  paintThumbnail({ rows: 1, columns: 3, values: Float32Array.from([0, 0.5, 1]) }, pixels, 4, { scale: "linear", max: 1 }, palette);
  expect([...pixels.subarray(0, 4)]).toEqual([0, 0, 128, 255]);
});
