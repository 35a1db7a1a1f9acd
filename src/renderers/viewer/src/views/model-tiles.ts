/** The small pictures' numbers: one tile a head, kept while layers scroll in and out. */

import type { Colours } from "../draw/colours";
import { heatPalette, largest, leftOutColour, type HeatPalette } from "../draw/heatmap";
import type { LegendNote } from "../draw/legend";
import { paintThumbnail, type ThumbnailRange } from "../draw/thumbnails";
import type { ThumbnailScale } from "../state/selection";
import { hasLeftOut, hasMissing, readTile, type MatrixTile } from "./matrix-tiles";
import type { ViewContext } from "./view";

/** So that a small change of size needs no new numbers. */
const PIXEL_STEP = 16;

export interface HeadPlace {
  readonly layer: number;
  readonly head: number;
}

export class ModelTiles {
  private readonly tiles = new Map<string, MatrixTile>();
  private generation = 0;
  private pixels = 0;
  private loading = 0;
  private hasMissing = false;
  private hasLeftOut = false;

  constructor(private readonly context: ViewContext) {}

  /** Forgets all tiles: other tokens, or other numbers. */
  reset(): void {
    this.generation += 1;
    this.tiles.clear();
    this.hasMissing = this.hasLeftOut = false;
  }

  /** From now on tiles have about this many cells a side. */
  setPixels(pixels: number): void {
    const wanted = Math.ceil(pixels / PIXEL_STEP) * PIXEL_STEP;
    if (wanted <= this.pixels && wanted * 2 > this.pixels) return;
    this.pixels = wanted;
    this.reset();
  }

  tile({ layer, head }: HeadPlace): MatrixTile | undefined {
    return this.tiles.get(`${layer} ${head}`);
  }

  /** Loads whole layers, one after the other, and tells of each; a later call takes over from an earlier one. */
  async load(layers: readonly number[], onLayer: (layer: number) => void): Promise<void> {
    const turn = (this.loading += 1);
    for (const layer of layers) {
      if (turn !== this.loading) return;
      const heads = this.context.trace.layers[layer]?.heads.map((_, head) => head) ?? [];
      const missing = heads.filter((head) => this.tile({ layer, head }) === undefined);
      if (missing.length === 0) continue;
      const { generation } = this;
      await Promise.all(missing.map((head) => this.read({ layer, head }, generation)));
      if (generation === this.generation) onLayer(layer);
    }
  }

  stop(): void {
    this.loading += 1;
    this.generation += 1;
  }

  /** One head with about `pixels` cells a side. */
  async large({ layer, head }: HeadPlace, pixels: number): Promise<MatrixTile> {
    const { reader, store } = this.context;
    const rows = reader.queries();
    const columns = reader.keys();
    const window = { firstRow: 0, lastRow: rows.length, firstColumn: 0, lastColumn: columns.length };
    const resolution = { rowStep: Math.ceil(rows.length / pixels) || 1, columnStep: Math.ceil(columns.length / pixels) || 1 };
    const tile = await readTile(reader, reader.headSeries(layer, head), store.selection.item, { rows, columns, sorted: null }, window, resolution);
    this.hasMissing ||= hasMissing(tile);
    this.hasLeftOut ||= hasLeftOut(tile);
    return tile;
  }

  /** What the colours beside the scale mean, of those that some picture has. */
  notes(colours: Colours): LegendNote[] {
    const notes: LegendNote[] = [];
    if (this.hasMissing) notes.push({ fill: colours.missing, hatch: false, text: "not a number" });
    if (this.hasLeftOut) notes.push({ fill: leftOutColour(colours), hatch: false, text: "not in this file" });
    return notes;
  }

  private async read(place: HeadPlace, generation: number): Promise<void> {
    const tile = await this.large(place, this.pixels);
    if (generation === this.generation) this.tiles.set(`${place.layer} ${place.head}`, tile);
  }
}

/** Each head in its own range, as in the matrix view. */
export function rangeOf(tile: MatrixTile, scale: ThumbnailScale): ThumbnailRange {
  return { scale, max: largest(tile.values) };
}

/** A head's picture of `side` x `side` pixels, at least one. */
export function thumbnail(tile: MatrixTile, asked: number, context: ViewContext): ImageData {
  const side = Math.max(1, asked);
  const image = new ImageData(side, side);
  const range = rangeOf(tile, context.store.selection.modelScale);
  paintThumbnail(tile, new Uint32Array(image.data.buffer), side, range, paletteOf(context.colours()));
  return image;
}

/** Made once for each theme, as a view has some hundred pictures. */
const palettes = new WeakMap<Colours, HeatPalette>();

function paletteOf(colours: Colours): HeatPalette {
  const known = palettes.get(colours) ?? heatPalette(colours);
  palettes.set(colours, known);
  return known;
}
