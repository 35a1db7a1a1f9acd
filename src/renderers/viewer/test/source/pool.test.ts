import fc from "fast-check";
import { expect, it } from "vitest";
import { log8 } from "../../src/source/decode";
import { pooled, pooledCodes, shapeOf, stepFor } from "../../src/source/pool";

const range = (stop: number) => ({ start: 0, stop });

it("leaves a block alone that fits", () => {
  const values = Float32Array.from([1, 2, 3, 4]);
  expect(pooled(values, range(2), range(2), 2, 2).values).toBe(values);
});

it("keeps the largest of each cell; the last cell may be smaller", () => {
  const values = Float32Array.from([0.1, 0.9, 0.2, 0.3, 0.4, 0.5, 0.0, 0.0, 0.7]);
  const tile = pooled(values, range(3), range(3), 2, 2);
  expect([tile.rows, tile.columns, tile.rowStep, tile.columnStep]).toEqual([2, 2, 2, 2]);
  expect([...tile.values].map((value) => Number(value.toFixed(3)))).toEqual([0.9, 0.5, 0, 0.7]);
});

it("lets a missing weight show", () => {
  const tile = pooled(Float32Array.from([0.5, NaN, 0.9, 0.1]), range(1), range(4), 1, 2);
  expect(tile.values[0]).toBeNaN();
  expect(tile.values[1]).toBeCloseTo(0.9);
});

it("never makes more cells than asked for", () => {
  for (let length = 1; length < 50; length += 1) {
    for (let most = 1; most < 20; most += 1) expect(Math.ceil(length / stepFor(length, most))).toBeLessThanOrEqual(most);
  }
});

it("pools codes to the same weights as what they stand for", () => {
  const size = fc.integer({ min: 1, max: 12 });
  fc.assert(
    fc.property(size, size, size, size, fc.infiniteStream(fc.integer({ min: 0, max: 255 })), (rows, columns, maxRows, maxColumns, stream) => {
      const codes = Uint8Array.from({ length: rows * columns }, () => stream.next().value);
      const tile = pooled(log8(codes), range(rows), range(columns), maxRows, maxColumns);
      const shape = shapeOf(range(rows), range(columns), maxRows, maxColumns);
      expect([...log8(pooledCodes(codes, shape))]).toEqual([...tile.values]);
    }),
  );
});
