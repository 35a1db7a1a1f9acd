/** A source that remembers recent answers. They are shared: whoever gets one must not write into it. */

import { PromiseCache } from "./promise-cache";
import type { Tile, TileRequest, TileSource, VectorRequest, Vectors } from "./source";

const MOST_TILE_BYTES = 256e6;
const MOST_VECTOR_BYTES = 64e6;

export class CachedSource implements TileSource {
  private readonly tiles: PromiseCache<Tile>;
  private readonly vectorsHeld = new PromiseCache<Vectors>(MOST_VECTOR_BYTES, vectorBytes);

  constructor(
    private readonly source: TileSource,
    mostTileBytes = MOST_TILE_BYTES,
  ) {
    this.tiles = new PromiseCache(mostTileBytes, tileBytes);
  }

  get trace(): TileSource["trace"] {
    return this.source.trace;
  }

  tile(request: TileRequest): Promise<Tile> {
    const name = `${blockName(request)} ${request.maxRows} ${request.maxColumns}`;
    return this.tiles.get(name, () => this.source.tile(request));
  }

  vectors(request: VectorRequest): Promise<Vectors> {
    return this.vectorsHeld.get(blockName(request), () => this.source.vectors(request));
  }
}

function blockName({ layer, head, item, queries, keys }: VectorRequest): string {
  return [layer, head, item, queries.start, queries.stop, keys.start, keys.stop].join(" ");
}

export function tileBytes(tile: Tile): number {
  return tile.values.byteLength;
}

function vectorBytes({ query, key, bias, allowed }: Vectors): number {
  return query.byteLength + key.byteLength + (bias?.byteLength ?? 0) + (allowed?.byteLength ?? 0);
}
