import fc from "fast-check";
import { expect, it } from "vitest";
import { rowStep } from "../../src/draw/thumbnails";
import { largestPairs } from "../../src/views/model-pairs";
import { HEADER_HEIGHT, listColumns, MARGIN, modelLayout } from "../../src/views/model-layout";

const room = { caption: 0, label: 40, list: false };

it("puts the enlarged head where the small pictures become larger", () => {
  expect(modelLayout({ ...room, width: 960, height: 640, rows: 12, columns: 12 }).place).toBe("beside");
  expect(modelLayout({ ...room, width: 1280, height: 850, rows: 6, columns: 12 }).place).toBe("below");
  expect(modelLayout({ ...room, width: 420, height: 560, rows: 6, columns: 12 }).place).toBe("below");
});

it("lays it over the grid where it would take everything, and there it is small", () => {
  const { place, preview } = modelLayout({ ...room, width: 600, height: 300, rows: 6, columns: 12 });
  expect(place).toBe("over");
  expect(preview).toBeLessThanOrEqual(180);
});

it("never lets the grid and the enlarged head overlap", () => {
  const sizes = fc.record({ width: fc.integer({ min: 320, max: 2600 }), height: fc.integer({ min: 200, max: 1600 }), rows: fc.integer({ min: 1, max: 48 }), columns: fc.integer({ min: 1, max: 40 }) });
  fc.assert(
    fc.property(sizes, (size) => {
      const { place, preview, grid } = modelLayout({ ...room, ...size });
      const across = size.columns * (grid.side + grid.gap);
      const down = size.rows * rowStep(grid);
      // What does not fit scrolls in a window that is still there.
      if (place === "beside") expect(size.width - preview - room.label).toBeGreaterThan(200);
      if (place === "below") expect(size.height - preview).toBeGreaterThanOrEqual(HEADER_HEIGHT + MARGIN + rowStep(grid));
      if (place === "beside" && across <= size.width - 282 - 40 - 2 * MARGIN) expect(across + preview + room.label + 2 * MARGIN).toBeLessThanOrEqual(size.width);
      if (place === "below" && down <= size.height - 264 - HEADER_HEIGHT - MARGIN) expect(down + preview + HEADER_HEIGHT + MARGIN).toBeLessThanOrEqual(size.height);
    }),
    { numRuns: 500 },
  );
});

it("uses a window that has room to spare", () => {
  const { grid, preview } = modelLayout({ ...room, width: 1280, height: 850, rows: 6, columns: 12 });
  expect(6 * rowStep(grid) + preview).toBeGreaterThan(0.85 * 850);
});

it("gives a ranked list large pictures, whatever its length", () => {
  const columns = listColumns(960, 40, 144);
  const { grid, place } = modelLayout({ width: 960, height: 640, rows: Math.ceil(144 / columns), columns, caption: 28, label: 40, list: true });
  expect(place).toBe("beside");
  expect(grid.side).toBeGreaterThanOrEqual(76);
});

it("names a head's largest weights, the largest first, and none where a cell is of several tokens", () => {
  const tile = { values: Float32Array.of(0.1, Number.NaN, 0.7, 0, 0.3, 0.2), columns: 3, rowStep: 1, columnStep: 1 };
  const pairs = largestPairs(tile, 3).map(({ row, column, weight }) => [row, column, Number(weight.toFixed(3))]);
  expect(pairs).toEqual([[0, 2, 0.7], [1, 1, 0.3], [1, 2, 0.2]]);
  expect(largestPairs({ ...tile, rowStep: 2 }, 3)).toEqual([]);
});
