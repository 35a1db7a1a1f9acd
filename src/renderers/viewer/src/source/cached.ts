/** Remembers recent tiles, and gives the same promise to all who ask for the same one. */

import type { Tile, TileRequest, TileSource, VectorRequest, Vectors } from "./source";

const MOST_BYTES = 256e6;

export class CachedSource implements TileSource {
  private readonly tiles = new Map<string, { promise: Promise<Tile>; bytes: number }>();
  private bytes = 0;

  constructor(
    private readonly source: TileSource,
    private readonly mostBytes = MOST_BYTES,
  ) {}

  get trace(): TileSource["trace"] {
    return this.source.trace;
  }

  tile(request: TileRequest): Promise<Tile> {
    const { layer, head, item, queries, keys, maxRows, maxColumns } = request;
    const name = [layer, head, item, queries.start, queries.stop, keys.start, keys.stop, maxRows, maxColumns].join();
    const known = this.tiles.get(name);
    if (known !== undefined) {
      // Last used, last to go.
      this.tiles.delete(name);
      this.tiles.set(name, known);
      return known.promise;
    }
    const promise = this.source.tile(request);
    const entry = { promise, bytes: 0 };
    this.tiles.set(name, entry);
    promise.then(
      (tile) => this.weigh(name, entry, tile.values.byteLength),
      // What failed may work the next time.
      () => this.tiles.delete(name),
    );
    return promise;
  }

  vectors(request: VectorRequest): Promise<Vectors> {
    return this.source.vectors(request);
  }

  private weigh(name: string, entry: { bytes: number }, bytes: number): void {
    if (this.tiles.get(name) !== entry) return;
    entry.bytes = bytes;
    this.bytes += bytes;
    for (const [oldest, { bytes: freed }] of this.tiles) {
      if (this.bytes <= this.mostBytes) return;
      if (oldest === name) continue;
      this.tiles.delete(oldest);
      this.bytes -= freed;
    }
  }
}
