/** Reads weights for the current selection: averages, discounts and lists of positions. */

import { CachedSource, tileBytes } from "../source/cached";
import { PromiseCache } from "../source/promise-cache";
import type { Range, Tile, TileSource, Vectors } from "../source/source";
import type { AxisInfo, LayerInfo } from "../source/trace-info";
import type { Store } from "../state/store";
import { changedBlock } from "./changed-block";
import { KNOWN_WITHIN } from "./discount";
import { discountedKeys, hasPairs, listedPositions, type Filters } from "./filters";
import type { BlockRequest, Series, WeightsReader } from "./reader";

/** Means and discounted blocks that are kept, since it takes many weights to make one. */
const MOST_CHANGED_BYTES = 64e6;

export function createReader(source: TileSource, store: Store): WeightsReader {
  return new SelectionReader(source, store);
}

class SelectionReader implements WeightsReader {
  private readonly cached: TileSource;
  private readonly changed = new PromiseCache(MOST_CHANGED_BYTES, tileBytes);

  constructor(
    private readonly source: TileSource,
    private readonly store: Store,
  ) {
    this.cached = new CachedSource(source);
  }

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
    const { series, item, queries, keys, maxRows, maxColumns } = request;
    const place = series.layers[0] ?? this.store.selection.layer;
    const without = request.raw === true ? [] : discountedKeys(this.axes(place).keyAxis, item, this.store.selection);
    const parts = series.layers.flatMap((layer) => series.heads.map((head) => ({ layer, head })));
    const [only] = parts;
    const block = { item, queries, keys, maxRows, maxColumns };
    if (parts.length === 1 && only !== undefined && without.length === 0) return this.cached.tile({ ...only, ...block });
    const changed = { ...block, parts, without, allKeys: this.layerAt(place).keys };
    // Not through the cache of tiles: what these are made of would drive everything else out of it.
    return this.changed.get(JSON.stringify(changed), () => changedBlock(this.source, changed));
  }

  queries(): readonly number[] {
    return listedPositions(this.axes().queryAxis, this.store.selection.item, this.filters("query"), "query");
  }

  keys(): readonly number[] {
    return listedPositions(this.axes().keyAxis, this.store.selection.item, this.filters("key"), "key");
  }

  /** Filters that mean something here: a pair of sentences on both sides, and a sink only among keys' tokens. */
  private filters(side: "query" | "key"): Filters {
    const { special, sink, pair, item } = this.store.selection;
    const { queryAxis, keyAxis } = this.axes();
    const pairs = hasPairs(queryAxis, item) && hasPairs(keyAxis, item);
    const sinks = side === "key" || queryAxis === keyAxis;
    return { special, sink: sinks ? sink : "show", pair: pairs ? pair : "all" };
  }

  vectors(head: number, queries: Range, keys: Range): Promise<Vectors> {
    const { layer, item } = this.store.selection;
    return this.cached.vectors({ layer, head, item, queries, keys });
  }

  notes(): readonly string[] {
    const { view, special, sink, meanHeads, meanLayers, heads } = this.store.selection;
    const notes: string[] = [];
    // The neuron view takes one head apart as the model computed it.
    if (view === "neuron") return notes;
    const discounted = [special === "discount" ? "special tokens" : "", sink === "discount" ? "the first token" : ""];
    const named = discounted.filter((name) => name !== "").join(" and ");
    if (named !== "") notes.push(`Weights on ${named} are taken out, and the rest of each row is scaled to keep its sum.${this.rounding()}`);
    // The model view shows every head for itself, and the matrix names its mean in the title.
    if (view !== "head") return notes;
    if (meanHeads && heads.length > 1) notes.push(`The mean of ${heads.length} heads is shown.`);
    if (meanLayers && this.layersRead().length > 1) notes.push(`The mean of ${this.layersRead().length} layers is shown.`);
    return notes;
  }

  /** Scaling makes more of what a file rounds off. */
  private rounding(): string {
    const { kind } = this.source.trace.precision;
    if (kind === "exact") return "";
    const percent = 100 * KNOWN_WITHIN[kind === "float16" ? "float16" : "log8"];
    return ` Those that this file does not tell within ${percent} % are shown as bounds, or not at all.`;
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

  /** The layers that are averaged: those of the group with the same shape and the same heads, or the selected one alone. */
  private layersRead(): readonly number[] {
    const { layer: place, meanLayers } = this.store.selection;
    if (!meanLayers) return [place];
    const layer = this.layer();
    const group = this.source.trace.groups.find((one) => one.layers.includes(place));
    return (group?.layers ?? [place]).filter((other) => {
      const candidate = this.layerAt(other);
      return (
        candidate.items === layer.items &&
        candidate.queries === layer.queries &&
        candidate.keys === layer.keys &&
        candidate.heads.join() === layer.heads.join()
      );
    });
  }
}
