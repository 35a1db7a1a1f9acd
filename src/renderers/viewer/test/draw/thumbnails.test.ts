import { expect, it } from "vitest";
import type { HeatPalette } from "../../src/draw/heatmap";
import { columnsOfList, paintThumbnail, rowStep, thumbnailGrid, thumbnailShare } from "../../src/draw/thumbnails";

it("makes pictures as large as fit, where they are legible", () => {
  const { side, gap } = thumbnailGrid({ width: 900, height: 600, rows: 12, columns: 12, caption: 0 });
  expect(side + gap).toBeLessThanOrEqual(600 / 12);
  expect(side + gap).toBeGreaterThan(600 / 12 - 1);
});

it("scrolls down rather than show specks, and right when there are very many heads", () => {
  expect(thumbnailGrid({ width: 900, height: 600, rows: 48, columns: 12, caption: 0 }).side).toBe(60);
  expect(thumbnailGrid({ width: 900, height: 600, rows: 48, columns: 96, caption: 0 }).side).toBe(26);
});

it("does not blow up a single head without end", () => {
  expect(thumbnailGrid({ width: 2000, height: 2000, rows: 1, columns: 1, caption: 0 }).side).toBe(260);
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

it("leaves room for the words below each picture", () => {
  const grid = thumbnailGrid({ width: 900, height: 600, rows: 6, columns: 6, caption: 28 });
  expect(6 * rowStep(grid)).toBeLessThanOrEqual(600);
  expect(rowStep(grid)).toBe(grid.side + grid.gap + 28);
});

it("puts as many pictures into a row of a list as fit, and no more than there are", () => {
  expect([columnsOfList(840, 144), columnsOfList(840, 4), columnsOfList(100, 144), columnsOfList(840, 0)]).toEqual([10, 4, 3, 1]);
});

it("lifts weak weights with the root and leaves the ends where they are, on every scale", () => {
  for (const scale of ["root", "linear", "log"] as const) {
    expect([0, 0.5].map((weight) => thumbnailShare(weight, { scale, max: 0.5 }))).toEqual([0, 1]);
  }
  expect(thumbnailShare(0.005, { scale: "root", max: 0.5 })).toBeCloseTo(0.1, 12);
  expect(thumbnailShare(0.005, { scale: "linear", max: 0.5 })).toBeCloseTo(0.01, 12);
  expect(thumbnailShare(0.005, { scale: "log", max: 0.5 })).toBeCloseTo(0.5, 12);
  expect(thumbnailShare(Number.NaN, { scale: "root", max: 0.5 })).toBe(0);
});

it("never gives a weight the colour of nothing, however weak it is", () => {
  const pixels = new Uint32Array(1);
  paintThumbnail({ rows: 1, columns: 1, values: Float32Array.of(1e-9) }, pixels, 1, { scale: "root", max: 1 }, palette);
  expect(pixels[0]).toBe(1);
});

it("tells weights that the file leaves out from those that are not a number", () => {
  const pixels = new Uint32Array(9);
  const cells = { rows: 1, columns: 3, values: Float32Array.from([Number.NaN, Number.NaN, 1]), most: Float32Array.from([0.2, Number.NaN, 1]) };
  paintThumbnail(cells, pixels, 3, { scale: "linear", max: 1 }, { ...palette, leftOut: 777 });
  expect([...pixels.subarray(0, 3)]).toEqual([777, 999, 255]);
});
