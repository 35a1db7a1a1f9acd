import { describe, expect, test, vi } from "vitest";
import type { BlockRequest, Series, WeightsReader } from "../../src/data/reader";
import type { Tile } from "../../src/source/source";
import { formatWeight } from "../../src/shell/numbers";
import { patchWeights } from "../../src/views/matrix-inset";
import { boundaries, layoutMatrix, sidePlace } from "../../src/views/matrix-layout";
import { byWeight, edgeOf, readOrder, type MatrixOrder } from "../../src/views/matrix-order";
import { boundedText, numberText } from "../../src/views/matrix-paint";
import { placeOfLargest, readPointed } from "../../src/views/matrix-pointed";
import { emptyRows, weightAt } from "../../src/views/matrix-scene";
import { MatrixTiles, readTile } from "../../src/views/matrix-tiles";
import { axisInfo } from "../helpers/traces";

const SERIES: Series = { colour: 0, label: "head 0", heads: [0], layers: [0] };

/** Every weight differs from every other. */
function weight(query: number, key: number): number {
  return ((query * 7919 + key * 104729) % 10007) / 10007;
}

/** A reader over `weight`, pooling as sources do; it remembers what it was asked. */
function reader(size: number): { reader: WeightsReader; asked: BlockRequest[] } {
  const asked: BlockRequest[] = [];
  const all = Array.from({ length: size }, (_, position) => position);
  const block = (request: BlockRequest): Promise<Tile> => {
    asked.push(request);
    const { queries, keys } = request;
    const rowStep = Math.ceil((queries.stop - queries.start) / request.maxRows);
    const columnStep = Math.ceil((keys.stop - keys.start) / request.maxColumns);
    const rows = Math.ceil((queries.stop - queries.start) / rowStep);
    const columns = Math.ceil((keys.stop - keys.start) / columnStep);
    const values = new Float32Array(rows * columns);
    for (let query = queries.start; query < queries.stop; query += 1) {
      for (let key = keys.start; key < keys.stop; key += 1) {
        const place = Math.floor((query - queries.start) / rowStep) * columns + Math.floor((key - keys.start) / columnStep);
        values[place] = Math.max(values[place] ?? 0, weight(query, key));
      }
    }
    return Promise.resolve({ queries, keys, rows, columns, rowStep, columnStep, values });
  };
  const unused = (): never => {
    throw new Error("not asked in these tests");
  };
  return { asked, reader: { block, queries: () => all, keys: () => all, series: () => [SERIES], headSeries: () => SERIES, vectors: unused, notes: () => [] } };
}

/** The largest weight of each cell, straight from the definition. */
function pooledByHand(order: MatrixOrder, firstRow: number, lastRow: number, firstColumn: number, lastColumn: number, rowStep: number, columnStep: number): number[] {
  const rows = Math.ceil((lastRow - firstRow) / rowStep);
  const columns = Math.ceil((lastColumn - firstColumn) / columnStep);
  const cells = new Array<number>(rows * columns).fill(-1);
  for (let row = firstRow; row < lastRow; row += 1) {
    for (let column = firstColumn; column < lastColumn; column += 1) {
      const place = Math.floor((row - firstRow) / rowStep) * columns + Math.floor((column - firstColumn) / columnStep);
      cells[place] = Math.max(cells[place] ?? -1, Math.fround(weight(order.rows[row] ?? 0, order.columns[column] ?? 0)));
    }
  }
  return cells;
}

describe("sorting", () => {
  test("is by falling weight, stable, with not-a-number last", () => {
    const weights: Readonly<Record<number, number>> = { 3: 0.1, 4: 0.7, 5: Number.NaN, 6: 0.7, 7: 0.2 };
    expect(byWeight([3, 4, 5, 6, 7], (position) => weights[position] ?? 0)).toEqual([4, 6, 7, 3, 5]);
  });

  test("reads the pinned query's row or the pinned key's column, and nothing without a pin", async () => {
    const { reader: source, asked } = reader(9);
    const selection = { item: 0, sort: "query", query: 4, key: null } as const;
    const order = await readOrder(source, SERIES, selection as never);
    const byHand = [...Array(9).keys()].sort((left, right) => weight(4, right) - weight(4, left));
    expect(order).toEqual({ rows: source.queries(), columns: byHand, sorted: "columns" });
    expect(asked[0]).toMatchObject({ queries: { start: 4, stop: 5 }, keys: { start: 0, stop: 9 } });
    const rows = await readOrder(source, SERIES, { ...selection, sort: "key", key: 2 } as never);
    expect(rows.rows).toEqual([...Array(9).keys()].sort((left, right) => weight(right, 2) - weight(left, 2)));
    const none = await readOrder(source, SERIES, { ...selection, query: null } as never);
    expect(none.sorted).toBe(null);
    expect(asked).toHaveLength(2);
  });
});

describe("readTile", () => {
  const shuffled = Array.from({ length: 40 }, (_, index) => (index * 17) % 40);
  const gaps = Array.from({ length: 36 }, (_, index) => index + (index > 9 ? 1 : 0) + (index > 20 ? 3 : 0));
  const plain = Array.from({ length: 40 }, (_, index) => index);
  const orders: readonly (readonly [string, MatrixOrder])[] = [
    ["in order", { rows: plain, columns: plain, sorted: null }],
    ["with hidden tokens", { rows: gaps, columns: gaps, sorted: null }],
    ["with sorted keys", { rows: gaps, columns: shuffled, sorted: "columns" }],
  ];

  test.each(orders)("gives the largest weight of each cell, %s", async (_name, order) => {
    const [lastRow, lastColumn] = [order.rows.length, order.columns.length];
    for (const [rowStep, columnStep] of [[1, 1], [3, 2], [4, 6]] as const) {
      const tile = await readTile(reader(40).reader, SERIES, 0, order, { firstRow: 0, lastRow, firstColumn: 0, lastColumn }, { rowStep, columnStep });
      expect([...tile.values]).toEqual(pooledByHand(order, 0, lastRow, 0, lastColumn, rowStep, columnStep));
    }
  });

  test("uses an answer that is coarser than was asked for", async () => {
    const coarse: WeightsReader = {
      ...reader(8).reader,
      block: ({ queries, keys }) => Promise.resolve({ queries, keys, rows: 2, columns: 2, rowStep: 4, columnStep: 4, values: Float32Array.from([1, 2, 3, 4]) }),
    };
    const order = { rows: plain.slice(0, 8), columns: plain.slice(0, 8), sorted: null };
    const tile = await readTile(coarse, SERIES, 0, order, { firstRow: 0, lastRow: 8, firstColumn: 0, lastColumn: 8 }, { rowStep: 2, columnStep: 2 });
    expect([...tile.values]).toEqual([1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4]);
  });

  test("keeps not-a-number", async () => {
    const broken: WeightsReader = {
      ...reader(2).reader,
      block: ({ queries, keys }) => Promise.resolve({ queries, keys, rows: 1, columns: 2, rowStep: 1, columnStep: 1, values: Float32Array.from([Number.NaN, 0.5]) }),
    };
    const tile = await readTile(broken, SERIES, 0, { rows: [0], columns: [0, 1], sorted: null }, { firstRow: 0, lastRow: 1, firstColumn: 0, lastColumn: 2 }, { rowStep: 1, columnStep: 1 });
    expect([...tile.values]).toEqual([Number.NaN, 0.5]);
  });
});

describe("weights that the source does not hold", () => {
  const bounds = Float32Array.from([0.5, 0.004, 0.004, Number.NaN]);
  const values = Float32Array.from([0.5, Number.NaN, 0.001, Number.NaN]);
  /** A row of: held, left out, held in part, not a number in the model. */
  const partly: WeightsReader = {
    ...reader(4).reader,
    block: ({ queries, keys }) => {
      const [rows, columns] = [queries.stop - queries.start, keys.stop - keys.start];
      const cut = (whole: Float32Array): Float32Array => Float32Array.from({ length: rows * columns }, (_, place) => whole[keys.start + (place % columns)] ?? 0);
      return Promise.resolve({ queries, keys, rows, columns, rowStep: 1, columnStep: 1, values: cut(values), most: cut(bounds) });
    },
  };
  const order: MatrixOrder = { rows: [0, 1], columns: [0, 1, 2, 3], sorted: null };
  const whole = { firstRow: 0, lastRow: 2, firstColumn: 0, lastColumn: 4 };

  test("stay apart from nothing and from not-a-number, whatever the order", async () => {
    const tile = await readTile(partly, SERIES, 0, order, whole, { rowStep: 1, columnStep: 1 });
    expect([...tile.values]).toEqual([...values, ...values]);
    expect([...(tile.most ?? [])]).toEqual([...bounds, ...bounds]);
    const turned = await readTile(partly, SERIES, 0, { ...order, columns: [2, 1, 0, 3], sorted: "columns" }, whole, { rowStep: 1, columnStep: 1 });
    expect([...turned.values.subarray(0, 4)]).toEqual([values[2], values[1], values[0], values[3]]);
    expect([...(turned.most ?? new Float32Array()).subarray(0, 4)]).toEqual([bounds[2], bounds[1], bounds[0], bounds[3]]);
  });

  test("are told from the model's own by the tiles, and said to be below their bound at a cell", async () => {
    const tiles = new MatrixTiles(partly, SERIES, 0, { ...order, columns: [0, 1, 2] }, () => undefined);
    const shown = { ...whole, lastColumn: 3 };
    await tiles.load(shown, { rowStep: 1, columnStep: 1 }, true);
    expect([tiles.hasLeftOut, tiles.hasMissing, tiles.max]).toEqual([true, false, 0.5]);
    const known = weightAt(tiles.loaded(shown, { rowStep: 1, columnStep: 1 }), { row: 1, column: 1 });
    expect(known).toEqual({ weight: Number.NaN, most: bounds[1] });
    expect(formatWeight(known?.weight ?? 0, { decimals: 3 }, known?.most)).toBe("not in this file (< 0.0041)");
    const pointed = await readPointed(partly, SERIES, 0, order, { row: 0, column: 1 }, { rowStep: 1, columnStep: 1 });
    expect(pointed).toMatchObject({ query: 0, key: 1, weight: Number.NaN, most: bounds[1] });
  });

  test("make the largest of a pooled cell no more than a least", async () => {
    const pointed = await readPointed(partly, SERIES, 0, order, { row: 0, column: 1 }, { rowStep: 1, columnStep: 3 });
    expect(pointed).toMatchObject({ key: 0, weight: 0.5, most: 0.5 });
    const weak = await readPointed(partly, SERIES, 0, { ...order, columns: [1, 2] }, { row: 0, column: 0 }, { rowStep: 1, columnStep: 2 });
    expect(weak).toMatchObject({ key: 2, weight: values[2], most: bounds[1] });
  });

  test("come behind those that are held when sorted, and before those that are nothing", async () => {
    const row = Float32Array.from([0, Number.NaN, 0.001, 0.3]);
    const most = Float32Array.from([0, 0.004, 0.001, 0.3]);
    const source: WeightsReader = { ...reader(4).reader, block: ({ queries, keys }) => Promise.resolve({ queries, keys, rows: 1, columns: 4, rowStep: 1, columnStep: 1, values: row, most }) };
    const sorted = await readOrder(source, SERIES, { item: 0, sort: "query", query: 2, key: null } as never);
    expect(sorted.columns).toEqual([3, 2, 1, 0]);
  });

  test("are no empty row", () => {
    const tile = { ...whole, rowStep: 1, columnStep: 1, rows: 1, columns: 2, values: Float32Array.from([Number.NaN, 0]), most: Float32Array.from([0.1, 0]) };
    expect(emptyRows(tile)).toEqual([]);
  });
});

test("another sorting goes to the edge where the strongest are; the same one stays where it is", () => {
  const plain: MatrixOrder = { rows: [0, 1, 2], columns: [0, 1, 2], sorted: null };
  const keys: MatrixOrder = { ...plain, columns: [2, 0, 1], sorted: "columns" };
  const queries: MatrixOrder = { ...plain, rows: [1, 0, 2], sorted: "rows" };
  expect([edgeOf(keys, plain), edgeOf(queries, plain), edgeOf(plain, keys), edgeOf(keys, keys)]).toEqual(["left", "top", null, null]);
});

test("other heads stand where they leave the cells larger", () => {
  const square = (count: number): MatrixOrder => {
    const positions = Array.from({ length: count }, (_, index) => index);
    return { rows: positions, columns: positions, sorted: null };
  };
  expect(sidePlace(870, 340, square(40))).toBe("beside");
  expect(sidePlace(390, 420, square(40))).toBe("below");
});

describe("MatrixTiles", () => {
  const plain = Array.from({ length: 2000 }, (_, index) => index);
  const order: MatrixOrder = { rows: plain, columns: plain, sorted: null };

  test("asks at the resolution of the screen and keeps what it has", async () => {
    const { reader: source, asked } = reader(2000);
    const arrived = vi.fn();
    const tiles = new MatrixTiles(source, SERIES, 0, order, arrived);
    const whole = { firstRow: 0, lastRow: 2000, firstColumn: 0, lastColumn: 2000 };
    await tiles.load(whole, { rowStep: 4, columnStep: 4 }, true);
    expect(asked.length).toBe(8);
    for (const request of asked) expect(request.maxRows * request.maxColumns).toBeLessThanOrEqual(64 * 1024);
    expect(arrived).toHaveBeenCalledTimes(8);
    expect(tiles.complete(whole, { rowStep: 4, columnStep: 4 })).toBe(true);
    await tiles.load(whole, { rowStep: 4, columnStep: 4 }, true);
    expect(asked.length).toBe(8);
    expect(tiles.max).toBeCloseTo(10006 / 10007, 6);
    const loaded = tiles.loaded(whole, { rowStep: 4, columnStep: 4 });
    expect(weightAt(loaded, { row: 1500, column: 30 })?.weight).toBeCloseTo(Math.max(...[0, 1, 2, 3].flatMap((i) => [28, 29, 30, 31].map((j) => weight(1500 + i, j)))), 6);
  });

  test("drops questions that are out of date, and ends the waiting for them", async () => {
    const waiting: (() => void)[] = [];
    const { reader: source } = reader(2000);
    const slow: WeightsReader = { ...source, block: (request) => new Promise((resolve) => waiting.push(() => void source.block(request).then(resolve))) };
    const tiles = new MatrixTiles(slow, SERIES, 0, order, () => undefined);
    const first = tiles.load({ firstRow: 0, lastRow: 2000, firstColumn: 0, lastColumn: 100 }, { rowStep: 1, columnStep: 1 }, false);
    expect(waiting.length).toBe(2);
    const second = tiles.load({ firstRow: 0, lastRow: 100, firstColumn: 0, lastColumn: 100 }, { rowStep: 1, columnStep: 1 }, false);
    for (const answer of waiting.splice(0)) answer();
    await Promise.all([first, second]);
    expect(waiting.length).toBe(0);
  });
});

test("a pooled cell points at the largest weight under it", async () => {
  const order: MatrixOrder = { rows: [...Array(12).keys()], columns: [...Array(12).keys()].reverse(), sorted: "columns" };
  const pointed = await readPointed(reader(12).reader, SERIES, 0, order, { row: 5, column: 7 }, { rowStep: 4, columnStep: 3 });
  const candidates = [4, 5, 6, 7].flatMap((query) => [5, 4, 3].map((key) => ({ query, key, weight: Math.fround(weight(query, key)) })));
  const best = candidates.reduce((left, right) => (right.weight > left.weight ? right : left));
  expect(pointed).toEqual({ ...best, most: best.weight, among: [4, 3] });
  expect(placeOfLargest(Float32Array.from([Number.NaN, 0.2, 0.4]))).toBe(2);
});

test("rows without any weight are found", () => {
  const tile = { firstRow: 0, lastRow: 3, firstColumn: 0, lastColumn: 2, rowStep: 1, columnStep: 1, rows: 3, columns: 2, values: Float32Array.from([0, 1, 0, 0, Number.NaN, 0]) };
  expect(emptyRows(tile)).toEqual([1]);
});

test("numbers in cells have as many decimals as fit, and nothing is written for nothing", () => {
  expect([0, 0.98765, 0.0004, -0.25, Number.NaN].map((value) => numberText(value, 3))).toEqual(["", "0.988", "<.001", "−0.250", "NaN"]);
  expect(numberText(0.004, 2)).toBe("<.01");
});

test("a number of which only a part is held says that it is at least so much, where there is room", () => {
  expect(boundedText("0.050", "0.050", 50)).toBe("0.050");
  expect(boundedText("0.050", "0.081", 50)).toBe("≥0.050");
  expect(boundedText("0.05", "0.08", 30)).toBe("");
  expect(boundedText("<.001", "0.081", 50)).toBe("");
});

test("sentence boundaries stand where the segment changes among the rows shown", () => {
  const axis = axisInfo(6, { segments: [[0, 0, 0, 1, 1, 1]] });
  expect(boundaries(axis, 0, [0, 1, 3, 4])).toEqual([2]);
  expect(boundaries(axis, 0, [3, 4])).toEqual([]);
  expect(boundaries({ ...axis, segments: null }, 0, [0, 5])).toEqual([]);
});

test("patches are the keys behind the extra tokens", () => {
  const patches = patchWeights(Float32Array.from([0.5, 0.25, 0.125, 0.0625, 0.0625]), [2, 2]);
  expect(patches).toMatchObject({ rows: 2, columns: 2, before: 1, sumBefore: 0.5 });
  expect([...patches.values]).toEqual([0.25, 0.125, 0.0625, 0.0625]);
});

test("rulers and picture share the room and never exceed it", () => {
  const measure = (text: string): number => text.length * 6;
  for (const count of [1, 12, 128, 1024]) {
    const positions = Array.from({ length: count }, (_, index) => index);
    const labels = positions.map((index) => `token${index}`);
    const layout = layoutMatrix(900, 600, { rows: positions, columns: positions, sorted: null }, { rows: labels, columns: labels }, measure);
    expect(layout.left + layout.fit.width + layout.right).toBeLessThanOrEqual(900 + 1e-6);
    expect(layout.top + layout.fit.height).toBeLessThanOrEqual(600 + 1e-6);
  }
});
