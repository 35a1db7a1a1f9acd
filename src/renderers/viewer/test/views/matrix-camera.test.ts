import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cameraFor, clampCamera, fitMatrix, mostZoom, visibleWindow } from "../../src/views/matrix-camera";
import { cellAt } from "../../src/views/matrix-scene";
import { stepFor } from "../../src/views/matrix-tiles";

describe("fitMatrix", () => {
  test("makes cells as large as the window allows, and square", () => {
    expect(fitMatrix(1000, 500, 100, 100)).toMatchObject({ width: 500, height: 500, cellWidth: 5, cellHeight: 5 });
    expect(fitMatrix(500, 3000, 100, 100)).toMatchObject({ width: 500, height: 500 });
    expect(fitMatrix(600, 600, 9, 12)).toMatchObject({ cellWidth: 50, cellHeight: 50 });
  });

  test("makes a side longer that would be a hair", () => {
    expect(fitMatrix(1000, 500, 1, 1000)).toMatchObject({ cellWidth: 1, cellHeight: 72 });
    expect(fitMatrix(1000, 500, 1000, 10)).toMatchObject({ cellWidth: 12, cellHeight: 0.5 });
  });

  test("does not blow a few tokens up", () => {
    expect(fitMatrix(2000, 2000, 2, 2)).toMatchObject({ cellWidth: 72, cellHeight: 72 });
  });
});

describe("camera", () => {
  const fit = fitMatrix(800, 800, 400, 400);

  test("is kept over the picture and within its zoom", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 1000, noNaN: true }), fc.double({ min: -1e6, max: 1e6, noNaN: true }), fc.double({ min: -1e6, max: 1e6, noNaN: true }), (k, x, y) => {
        const at = clampCamera(fit, { k, x, y });
        expect(at.k).toBeGreaterThanOrEqual(1);
        expect(at.k).toBeLessThanOrEqual(mostZoom(fit));
        expect(at.x <= 0 && at.x + fit.width * at.k >= fit.width - 1e-6).toBe(true);
        expect(at.y <= 0 && at.y + fit.height * at.k >= fit.height - 1e-6).toBe(true);
        const seen = visibleWindow(fit, at);
        expect(seen.firstRow >= 0 && seen.firstRow < seen.lastRow && seen.lastRow <= 400).toBe(true);
        expect(seen.firstColumn >= 0 && seen.firstColumn < seen.lastColumn && seen.lastColumn <= 400).toBe(true);
      }),
    );
  });

  test("sees all at first and a part when zoomed in", () => {
    expect(visibleWindow(fit, clampCamera(fit, { k: 1, x: 0, y: 0 }))).toEqual({ firstRow: 0, lastRow: 400, firstColumn: 0, lastColumn: 400 });
    expect(visibleWindow(fit, clampCamera(fit, { k: 4, x: -800, y: -800 }))).toEqual({ firstRow: 100, lastRow: 200, firstColumn: 100, lastColumn: 200 });
  });

  test("comes back to a window that was kept, whatever the size of the picture is now", () => {
    const side = fc.tuple(fc.integer({ min: 0, max: 380 }), fc.integer({ min: 12, max: 400 })).map(([first, length]) => [first, Math.min(400, first + length)] as const);
    fc.assert(
      fc.property(side, side, fc.integer({ min: 200, max: 1500 }), ([firstRow, lastRow], [firstColumn, lastColumn], size) => {
        const now = fitMatrix(size, size, 400, 400);
        const seen = visibleWindow(now, cameraFor(now, { firstRow, lastRow, firstColumn, lastColumn }));
        expect(seen.firstRow <= firstRow && seen.lastRow >= lastRow).toBe(true);
        expect(seen.firstColumn <= firstColumn && seen.lastColumn >= lastColumn).toBe(true);
      }),
    );
    expect(cameraFor(fit, { firstRow: 100, lastRow: 200, firstColumn: 100, lastColumn: 200 })).toMatchObject({ k: 4, x: -800, y: -800 });
  });

  test("finds the cell under a point, and none beside the picture", () => {
    const at = clampCamera(fit, { k: 4, x: -800, y: -800 });
    expect(cellAt({ fit, at }, 0, 0)).toEqual({ row: 100, column: 100 });
    expect(cellAt({ fit, at }, 799, 799)).toEqual({ row: 199, column: 199 });
    expect(cellAt({ fit, at }, -1, 5)).toBe(null);
    expect(cellAt({ fit, at }, 5, 800)).toBe(null);
  });
});

test("the step is the smallest of 1, 2, 3, 4, 6, 8, 12, … that gives every cell a pixel", () => {
  expect([5, 1, 0.6, 0.4, 0.3, 0.2, 1 / 6, 900 / 16384].map(stepFor)).toEqual([1, 1, 2, 3, 4, 6, 6, 24]);
});
