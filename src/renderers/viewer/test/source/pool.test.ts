import fc from "fast-check";
import { expect, it } from "vitest";
import { log8 } from "../../src/source/decode";
import { emptyBounded, poolBounded, pooled, pooledCodes, shapeOf, stepFor } from "../../src/source/pool";

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

it("pools bounds: the largest weight that is held, the largest bound, and the model's own not-a-number as both", () => {
  const size = fc.integer({ min: 1, max: 9 });
  // Held, left out below a bound, and not a number.
  const weight = fc.constantFrom([0, 0], [0.25, 0.25], [0.5, 0.5], [NaN, 0.3], [NaN, 0.6], [0.2, 0.4], [NaN, NaN]);
  fc.assert(
    fc.property(size, size, size, size, fc.nat(4), fc.infiniteStream(weight), (rows, columns, maxRows, maxColumns, first, stream) => {
      const shape = shapeOf(range(rows + first), range(columns), maxRows, maxColumns);
      const weights = Array.from({ length: rows * columns }, () => stream.next().value as [number, number]);
      const [values, most] = [0, 1].map((part) => Float32Array.from(weights, (one) => one[part]!)) as [Float32Array, Float32Array];
      const cells = emptyBounded(shape);
      poolBounded({ values, most }, first, shape, cells);
      for (let cell = 0; cell < cells.values.length; cell += 1) {
        const inCell = (_: unknown, place: number): boolean => {
          const row = Math.floor((first + Math.floor(place / columns)) / shape.rowStep);
          return row * shape.columns + Math.floor((place % columns) / shape.columnStep) === cell;
        };
        const bounds = [...most].filter(inCell);
        const held = [...values].filter(inCell).filter((value) => !Number.isNaN(value));
        const missing = bounds.some(Number.isNaN);
        expect(cells.values[cell]).toBe(missing || held.length === 0 ? NaN : Math.max(...held));
        expect(cells.most[cell]).toBe(missing ? NaN : Math.max(...bounds));
      }
    }),
  );
});
