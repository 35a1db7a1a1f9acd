/** Reads weights for the current selection: averages, discounts and lists of positions. */

import { CachedSource } from "../source/cached";
import { lengthOf, pooled } from "../source/pool";
import type { Range, Tile, TileSource, Vectors } from "../source/source";
import type { AxisInfo, LayerInfo } from "../source/trace-info";
import type { Store } from "../state/store";
import { discount } from "./discount";
import { discountedKeys, listedPositions } from "./filters";
import type { BlockRequest, Series, WeightsReader } from "./reader";

/** Rows of this many weights at a time are read in full where pooling has to come last. */
const BLOCK_WEIGHTS = 4_000_000;

export function createReader(source: TileSource, store: Store): WeightsReader {
  return new SelectionReader(new CachedSource(source), store);
}

class SelectionReader implements WeightsReader {
  constructor(
    private readonly source: TileSource,
    private readonly store: Store,
  ) {}

  series(): readonly Series[] {
    const { heads, meanHeads } = this.store.selection;
    const layers = this.layersRead();
    const prefix = layers.length > 1 ? `mean of ${layers.length} layers, ` : "";
    if (meanHeads && heads.length > 1) {
      return [{ colour: 0, label: `${prefix}mean of ${heads.length} heads`, heads, layers }];
    }
    return heads.map((head) => {
      return { colour: head, label: `${prefix}head ${this.layer().heads[head] ?? head}`, heads: [head], layers };
    });
  }

  headSeries(layer: number, head: number): Series {
    const number = this.source.trace.layers[layer]?.heads[head] ?? head;
    return { colour: head, label: `head ${number}`, heads: [head], layers: [layer] };
  }

  async block(request: BlockRequest): Promise<Tile> {
    const [first] = request.series.layers;
    const { keyAxis } = this.axes(first ?? this.store.selection.layer);
    const without = request.raw === true ? [] : discountedKeys(keyAxis, request.item, this.store.selection);
    const parts = request.series.layers.flatMap((layer) => request.series.heads.map((head) => ({ layer, head })));
    const [only] = parts;
    if (parts.length === 1 && only !== undefined && without.length === 0) return this.source.tile({ ...only, ...request });
    return this.computed(request, parts, without, keyAxis.length);
  }

  /** Reads full rows, changes them, and pools last: the largest of means is not the mean of the largest. */
  private async computed(
    request: BlockRequest, parts: readonly { layer: number; head: number }[], without: readonly number[], allKeys: number,
  ): Promise<Tile> {
    const { queries, keys, item } = request;
    const width = lengthOf(keys);
    const mean = new Float32Array(lengthOf(queries) * width);
    const rows = Math.max(1, Math.floor(BLOCK_WEIGHTS / allKeys));
    for (let start = queries.start; start < queries.stop; start += rows) {
      const range = { start, stop: Math.min(queries.stop, start + rows) };
      for (const part of parts) {
        const columns = without.length > 0 ? { start: 0, stop: allKeys } : keys;
        const size = { maxRows: lengthOf(range), maxColumns: lengthOf(columns) };
        const tile = await this.source.tile({ ...part, item, queries: range, keys: columns, ...size });
        const values = without.length > 0 ? tile.values.slice() : tile.values;
        if (without.length > 0) discount(values, allKeys, without);
        addPart(mean, (start - queries.start) * width, values, columns, keys, 1 / parts.length);
      }
    }
    return pooled(mean, queries, keys, request.maxRows, request.maxColumns);
  }

  queries(): readonly number[] {
    return listedPositions(this.axes().queryAxis, this.store.selection.item, this.store.selection, "query");
  }

  keys(): readonly number[] {
    return listedPositions(this.axes().keyAxis, this.store.selection.item, this.store.selection, "key");
  }

  vectors(head: number, queries: Range, keys: Range): Promise<Vectors> {
    const { layer, item } = this.store.selection;
    return this.source.vectors({ layer, head, item, queries, keys });
  }

  notes(): readonly string[] {
    const { special, sink, meanHeads, meanLayers, heads } = this.store.selection;
    const notes: string[] = [];
    const discounted = [special === "discount" ? "special tokens" : "", sink === "discount" ? "the first token" : ""];
    const named = discounted.filter((name) => name !== "").join(" and ");
    if (named !== "") notes.push(`Weights on ${named} are taken out, and the rest of each row is scaled to keep its sum.`);
    if (meanHeads && heads.length > 1) notes.push(`The mean of ${heads.length} heads is shown.`);
    if (meanLayers && this.layersRead().length > 1) notes.push(`The mean of ${this.layersRead().length} layers is shown.`);
    return notes;
  }

  private layer(): LayerInfo {
    return this.layerAt(this.store.selection.layer);
  }

  private layerAt(place: number): LayerInfo {
    const layer = this.source.trace.layers[place];
    if (layer === undefined) throw new Error(`there is no layer ${place}`);
    return layer;
  }

  private axes(place = this.store.selection.layer): { queryAxis: AxisInfo; keyAxis: AxisInfo } {
    const layer = this.layerAt(place);
    const queryAxis = this.source.trace.axes[layer.queryAxis];
    const keyAxis = this.source.trace.axes[layer.keyAxis];
    if (queryAxis === undefined || keyAxis === undefined) throw new Error(`layer ${place} counts an unknown axis`);
    return { queryAxis, keyAxis };
  }

  /** The layers that are averaged: those of the group that have the same shape, or the selected one alone. */
  private layersRead(): readonly number[] {
    const { layer: place, meanLayers } = this.store.selection;
    if (!meanLayers) return [place];
    const layer = this.layer();
    const group = this.source.trace.groups.find((one) => one.layers.includes(place));
    return (group?.layers ?? [place]).filter((other) => {
      const candidate = this.layerAt(other);
      return (
        candidate.queries === layer.queries &&
        candidate.keys === layer.keys &&
        candidate.heads.length === layer.heads.length
      );
    });
  }
}

/** Adds the columns `keys` of `values` (rows over `columns`), times `factor`, to `sum` from `offset` on. */
function addPart(
  sum: Float32Array, offset: number, values: Float32Array, columns: Range, keys: Range, factor: number,
): void {
  const width = lengthOf(keys);
  const given = lengthOf(columns);
  const shift = keys.start - columns.start;
  for (let row = 0; row * given < values.length; row += 1) {
    for (let key = 0; key < width; key += 1) {
      sum[offset + row * width + key]! += factor * values[row * given + shift + key]!;
    }
  }
}
