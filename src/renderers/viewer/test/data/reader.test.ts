import { expect, it } from "vitest";
import { createReader } from "../../src/data/selection-reader";
import type { Tile, TileRequest, TileSource } from "../../src/source/source";
import { firstSelection } from "../../src/state/first";
import { Store } from "../../src/state/store";
import { axisInfo, layerInfo, traceInfo } from "../helpers/traces";

/** Two layers of two heads on three tokens, the first of which is special; a row is [0.5, 0.25 + shift, 0.25 - shift]. */
class Small implements TileSource {
  readonly trace = traceInfo(axisInfo(3, { special: [[1, 0, 0]] }), [layerInfo(3, 3), layerInfo(3, 3, { index: 1 })]);

  async tile({ layer, head, queries, keys }: TileRequest): Promise<Tile> {
    const shift = 0.05 * (2 * layer + head);
    const row = [0.5, 0.25 + shift, 0.25 - shift].slice(keys.start, keys.stop);
    const rows = queries.stop - queries.start;
    const values = Float32Array.from(Array.from({ length: rows }, () => row).flat());
    return { queries, keys, rows, columns: row.length, rowStep: 1, columnStep: 1, values };
  }

  vectors(): never {
    throw new Error("not used");
  }
}

function setUp() {
  const source = new Small();
  const store = new Store(source.trace, firstSelection(source.trace));
  return { source, store, reader: createReader(source, store) };
}

const block = { item: 0, queries: { start: 1, stop: 2 }, keys: { start: 0, stop: 3 }, maxRows: 1, maxColumns: 3 };
const rounded = (values: Float32Array) => [...values].map((value) => Number(value.toFixed(4)));

it("gives each selected head a series", () => {
  const { reader, store } = setUp();
  expect(reader.series().map((series) => series.label)).toEqual(["head 0", "head 1"]);
  store.select({ heads: [1] });
  expect(reader.series().map((series) => series.colour)).toEqual([1]);
});

it("averages heads and layers", async () => {
  const { reader, store } = setUp();
  store.select({ meanHeads: true, meanLayers: true });
  const [series] = reader.series();
  expect(series?.label).toBe("mean of 2 layers, mean of 2 heads");
  expect(rounded((await reader.block({ ...block, series: series! })).values)).toEqual([0.5, 0.325, 0.175]);
  expect(reader.notes()).toHaveLength(2);
});

it("averages no layers whose heads are others", () => {
  const layers = [layerInfo(3, 3), layerInfo(3, 3, { index: 1, heads: [0, 5] }), layerInfo(3, 3, { index: 2 })];
  const trace = traceInfo(axisInfo(3), layers);
  const store = new Store(trace, { ...firstSelection(trace), meanLayers: true });
  expect(createReader({ trace } as TileSource, store).series()[1]).toMatchObject({ label: "mean of 2 layers, head 1", layers: [0, 2] });
});

it("discounts special tokens and keeps the sum of each row", async () => {
  const { source, reader, store } = setUp();
  store.select({ special: "discount", heads: [0] });
  const [series] = reader.series();
  expect(rounded((await reader.block({ ...block, series: series! })).values)).toEqual([0, 0.5, 0.5]);
  const columns = await reader.block({ ...block, series: series!, keys: { start: 1, stop: 2 }, maxColumns: 1 });
  expect(rounded(columns.values)).toEqual([0.5]);
  expect(reader.notes()[0]).toMatch(/special tokens.*its sum\.$/);
  const rounded8 = { trace: { ...source.trace, precision: { ...source.trace.precision, kind: "log8" } } } as TileSource;
  expect(createReader(rounded8, store).notes()[0]).toMatch(/scaled to keep its sum\. .*within 10 %/);
});

it("lists what is not hidden", () => {
  const { reader, store } = setUp();
  store.select({ special: "hide" });
  expect(reader.queries()).toEqual([1, 2]);
  expect(reader.keys()).toEqual([1, 2]);
});

it("filters pairs only where both sides have sentences", () => {
  const segments = [[0, 1, 1]];
  const axes = { pair: axisInfo(3, { segments }), plain: axisInfo(3) };
  const layers = [layerInfo(3, 3, { queryAxis: "pair", keyAxis: "pair" }), layerInfo(3, 3, { queryAxis: "plain", keyAxis: "pair" })];
  const trace = { ...traceInfo(axisInfo(3), layers), axes };
  const store = new Store(trace, { ...firstSelection(trace), pair: "AB" });
  const reader = createReader({ trace, tile: () => Promise.reject(), vectors: () => Promise.reject() }, store);
  expect([reader.queries(), reader.keys()]).toEqual([[0], [1, 2]]);
  store.select({ layer: 1 });
  expect([reader.queries(), reader.keys()]).toEqual([[0, 1, 2], [0, 1, 2]]);
});

it("hides the sink among the keys, and among the queries where they are the same tokens", () => {
  const axes = { tokens: axisInfo(3), other: axisInfo(3) };
  const trace = { ...traceInfo(axisInfo(3), [layerInfo(3, 3), layerInfo(3, 3, { queryAxis: "other" })]), axes };
  const store = new Store(trace, { ...firstSelection(trace), sink: "hide" });
  const reader = createReader({ trace, tile: () => Promise.reject(), vectors: () => Promise.reject() }, store);
  expect([reader.queries(), reader.keys()]).toEqual([[1, 2], [1, 2]]);
  store.select({ layer: 1 });
  expect([reader.queries(), reader.keys()]).toEqual([[0, 1, 2], [1, 2]]);
});

it("gives raw blocks as the source has them, whatever is discounted", async () => {
  const { reader, store } = setUp();
  store.select({ special: "discount" });
  const series = reader.headSeries(0, 0);
  expect(rounded((await reader.block({ ...block, series, raw: true })).values)).toEqual([0.5, 0.25, 0.25]);
});

it("asks a source for what the format names and nothing else", async () => {
  const { reader, source } = setUp();
  const asked: TileRequest[] = [];
  const tile = source.tile.bind(source);
  source.tile = (request) => {
    asked.push(request);
    return tile(request);
  };
  await reader.block({ ...block, series: reader.headSeries(1, 1) });
  const { maxRows, maxColumns, item, queries, keys } = block;
  expect(asked).toEqual([{ layer: 1, head: 1, item, queries, keys, maxRows, maxColumns }]);
});
