import fc from "fast-check";
import { expect, it } from "vitest";
import { changedBlock, type ChangedBlock } from "../../src/data/changed-block";
import { discount } from "../../src/data/discount";
import { pooled } from "../../src/source/pool";
import type { Tile, TileRequest, TileSource } from "../../src/source/source";
import { axisInfo, layerInfo, traceInfo } from "../helpers/traces";

/** Any weights of `size` x `size`, the same for a head of a layer each time; remembers what it was asked for. */
class Made implements TileSource {
  readonly trace;
  readonly asked: TileRequest[] = [];

  constructor(size: number) {
    this.trace = traceInfo(axisInfo(size), [layerInfo(size, size), layerInfo(size, size, { index: 1 })]);
  }

  weight(layer: number, head: number, query: number, key: number): number {
    return ((7 * layer + 5 * head + 3 * query + 11 * key + query * key) % 13) / 13;
  }

  async tile(request: TileRequest): Promise<Tile> {
    this.asked.push(request);
    const { layer, head, queries, keys } = request;
    const rows = queries.stop - queries.start;
    const columns = keys.stop - keys.start;
    const values = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        values[row * columns + column] = this.weight(layer, head, queries.start + row, keys.start + column);
      }
    }
    return pooled(values, queries, keys, request.maxRows, request.maxColumns);
  }

  vectors(): never {
    throw new Error("not used");
  }
}

const PARTS = [{ layer: 0, head: 0 }, { layer: 0, head: 1 }, { layer: 1, head: 0 }];

/** What a cell must be, one position after the other. */
function expected(source: Made, block: ChangedBlock, tile: Tile, row: number, column: number): number {
  let largest = -Infinity;
  for (let query = block.queries.start; query < block.queries.stop; query += 1) {
    for (let key = block.keys.start; key < block.keys.stop; key += 1) {
      const inRow = Math.floor((query - block.queries.start) / tile.rowStep) === row;
      const inColumn = Math.floor((key - block.keys.start) / tile.columnStep) === column;
      if (inRow && inColumn) largest = Math.max(largest, meanWeight(source, block, query, key));
    }
  }
  return largest;
}

function meanWeight(source: Made, block: ChangedBlock, query: number, key: number): number {
  const shown = block.parts.map(({ layer, head }) => {
    const row = Array.from({ length: block.allKeys }, (_, at) => source.weight(layer, head, query, at));
    const all = row.reduce((sum, weight) => sum + weight, 0);
    const left = row.reduce((sum, weight, at) => sum + (block.without.includes(at) ? 0 : weight), 0);
    if (block.without.includes(key)) return 0;
    return left > 0 ? ((row[key] ?? 0) * all) / left : 0;
  });
  return shown.reduce((sum, weight) => sum + weight, 0) / shown.length;
}

it("is the largest of the means, with keys taken out, in each cell", async () => {
  const range = fc.tuple(fc.nat(8), fc.nat(8)).map(([one, other]) => ({ start: Math.min(one, other), stop: Math.max(one, other) + 1 }));
  const blocks = fc.record({
    item: fc.constant(0), queries: range, keys: range, maxRows: fc.integer({ min: 1, max: 9 }), maxColumns: fc.integer({ min: 1, max: 9 }),
    parts: fc.subarray(PARTS, { minLength: 1 }), without: fc.subarray([0, 3, 8]), allKeys: fc.constant(9),
  });
  await fc.assert(
    fc.asyncProperty(blocks, async (block) => {
      const source = new Made(9);
      const tile = await changedBlock(source, block);
      expect(tile.rows).toBeLessThanOrEqual(block.maxRows);
      for (let cell = 0; cell < tile.values.length; cell += 1) {
        const wanted = expected(source, block, tile, Math.floor(cell / tile.columns), cell % tile.columns);
        expect(tile.values[cell]).toBeCloseTo(wanted, 5);
      }
    }),
    { numRuns: 60 },
  );
});

it("reads some rows of a large map at a time, and cells may have rows of several such reads", async () => {
  const size = 400_000;
  const source = new Made(size);
  const keys = { start: 0, stop: size };
  const block = { item: 0, keys, maxRows: 2, maxColumns: 4, parts: PARTS.slice(0, 1), without: [2], allKeys: size };
  const whole = await changedBlock(source, { ...block, queries: { start: 0, stop: 6 } });
  expect(source.asked.map(({ queries }) => queries.stop - queries.start)).toEqual([2, 2, 2]);
  const single = [3, 4, 5].map((query) => changedBlock(source, { ...block, queries: { start: query, stop: query + 1 } }));
  const rows = (await Promise.all(single)).map((tile) => [...tile.values]);
  const largest = rows.reduce((one, other) => one.map((value, at) => Math.max(value, other[at] ?? NaN)));
  expect([...whole.values.slice(4)]).toEqual(largest);
});

it("says so where too many weights would have to be read", async () => {
  const source = new Made(1);
  const all = { start: 0, stop: 16_384 };
  const block = { item: 0, queries: all, keys: all, maxRows: 64, maxColumns: 64, without: [0], allKeys: 16_384 };
  await expect(changedBlock(source, { ...block, parts: PARTS })).rejects.toThrow(/mean of 3 heads.*805 million.*zoom in/);
  expect(source.asked).toEqual([]);
});

it("keeps the sum of a row whose keys are discounted, and leaves nothing where nothing else is", () => {
  const values = Float32Array.from([0.5, 0.25, 0.25, 1, 0, 0]);
  expect([...discount(values, 3, [0])]).toEqual([0, 0.5, 0.5, 0, 0, 0]);
});

it("does not make a whole row missing because of one weight", () => {
  const row = discount(Float32Array.from([0.5, 0.25, NaN]), 3, [0]);
  expect([...row]).toEqual([0, 0.25, NaN]);
});
