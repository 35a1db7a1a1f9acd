/**
 * Weights that the head view holds in memory, so that pointing at a token never waits.
 *
 * They are asked for in bands: some queries over all keys, and, where not everything fits into one band, some keys over
 * all queries. Answers to questions that are no longer asked are dropped.
 */

import type { Series, WeightsReader } from "../data/reader";
import type { Range, Tile } from "../source/source";
import { largest } from "../draw/heatmap";

/** Weights of one band, over all series; 12 heads of 512 x 512 tokens still are a single band. */
const BAND_WEIGHTS = 3_200_000;
/** Bands beyond this are forgotten, those that were not needed for the longest time first. */
const HELD_WEIGHTS = 24_000_000;

/** One row or column of a tile: the weight at `position` is `values[start + (position - from) * step]`. */
export interface Cells {
  readonly values: Float32Array;
  /** What each weight is at most, where the source left some of them out. */
  readonly most?: Float32Array | undefined;
  readonly start: number;
  readonly step: number;
  readonly from: number;
}

type Direction = "queries" | "keys";

interface Band {
  readonly direction: Direction;
  readonly number: number;
  readonly tiles: (Tile | undefined)[];
}

export class HeadWeights {
  /** The largest weight that was seen since the last `reset`. */
  top = 0;
  series: readonly Series[] = [];
  private item = 0;
  private ranges: Record<Direction, Range> = { queries: { start: 0, stop: 0 }, keys: { start: 0, stop: 0 } };
  private bands = new Map<string, Band>();
  private generation = 0;

  constructor(private readonly reader: WeightsReader) {}

  /** Forgets everything; from now on the weights are those of the current selection. */
  reset(item: number, queries: Range, keys: Range): void {
    this.generation += 1;
    this.series = this.reader.series();
    this.item = item;
    this.ranges = { queries, keys };
    this.bands = new Map();
    this.top = 0;
  }

  /** One query's weights over the keys; null while they are not there. */
  row(series: number, query: number): Cells | null {
    const tile = this.band("queries", query)?.tiles[series];
    if (tile === undefined) return null;
    const start = (query - tile.queries.start) * tile.columns;
    return { values: tile.values, most: tile.most, start, step: 1, from: tile.keys.start };
  }

  /** One key's weights over the queries; null while they are not there. */
  column(series: number, key: number): Cells | null {
    const whole = this.bandSize("queries") >= length(this.ranges.queries);
    const tile = whole ? this.bands.get("queries 0")?.tiles[series] : this.band("keys", key)?.tiles[series];
    if (tile === undefined) return null;
    return { values: tile.values, most: tile.most, start: key - tile.keys.start, step: tile.columns, from: tile.queries.start };
  }

  /** Asks for what these tokens need; `onPart` is called whenever some of it has come. Resolves when all has. */
  async load(queries: readonly number[], keys: readonly number[], onPart: () => void): Promise<void> {
    const whole = this.bandSize("queries") >= length(this.ranges.queries);
    const wanted = [...this.missing("queries", queries), ...(whole ? [] : this.missing("keys", keys))];
    await Promise.all(wanted.map((band) => this.fillOrForget(band, onPart)));
  }

  /** A band that could not be had is asked for again the next time it is needed. */
  private async fillOrForget(band: Band, onPart: () => void): Promise<void> {
    const { bands } = this;
    try {
      await this.fill(band, onPart);
    } catch (error) {
      bands.delete(`${band.direction} ${band.number}`);
      throw error;
    }
  }

  private missing(direction: Direction, positions: readonly number[]): Band[] {
    const size = this.bandSize(direction);
    const numbers = new Set(positions.map((position) => Math.floor((position - this.ranges[direction].start) / size)));
    const wanted: Band[] = [];
    for (const number of numbers) {
      const name = `${direction} ${number}`;
      const held = this.bands.get(name);
      const band = held ?? { direction, number, tiles: this.series.map(() => undefined) };
      // Put back at the end: the map's order is the order of last use.
      this.bands.delete(name);
      this.bands.set(name, band);
      if (held === undefined) wanted.push(band);
    }
    this.forgetOldest();
    return wanted;
  }

  private async fill(band: Band, onPart: () => void): Promise<void> {
    const { generation } = this;
    const size = this.bandSize(band.direction);
    const whole = this.ranges[band.direction];
    const start = whole.start + band.number * size;
    const part = { start, stop: Math.min(whole.stop, start + size) };
    const queries = band.direction === "queries" ? part : this.ranges.queries;
    const keys = band.direction === "keys" ? part : this.ranges.keys;
    const ask = async (series: Series, place: number): Promise<void> => {
      const maxRows = length(queries);
      const maxColumns = length(keys);
      const tile = await this.reader.block({ series, item: this.item, queries, keys, maxRows, maxColumns });
      if (generation !== this.generation) return;
      band.tiles[place] = tile;
      this.top = Math.max(this.top, largest(tile.values));
      onPart();
    };
    await Promise.all(this.series.map(ask));
  }

  private band(direction: Direction, position: number): Band | undefined {
    const number = Math.floor((position - this.ranges[direction].start) / this.bandSize(direction));
    return this.bands.get(`${direction} ${number}`);
  }

  /** How many tokens a band holds. */
  private bandSize(direction: Direction): number {
    const across = length(direction === "queries" ? this.ranges.keys : this.ranges.queries);
    const size = Math.floor(BAND_WEIGHTS / Math.max(1, across * this.series.length));
    return Math.max(4, Math.min(length(this.ranges[direction]), size));
  }

  private forgetOldest(): void {
    const weights = (band: Band): number => band.tiles.reduce((sum, tile) => sum + (tile?.values.length ?? 0), 0);
    let held = 0;
    for (const band of this.bands.values()) held += weights(band);
    for (const [name, band] of this.bands) {
      if (held <= HELD_WEIGHTS) return;
      held -= weights(band);
      this.bands.delete(name);
    }
  }
}

function length({ start, stop }: Range): number {
  return stop - start;
}
