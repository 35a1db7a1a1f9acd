/** The weights of one embedded layer, however they were written: whole, or the largest of each row. */

import type { WeightsBlock, OverviewBlock } from "./blocks";
import { float16, joinedPlanes, log8, summedRows } from "./decode";
import { lengthOf, pooled } from "./pool";
import type { Tile, TileRequest } from "./source";
import type { LayerInfo } from "./trace-info";

export interface LayerWeights {
  tile(request: TileRequest): Tile;
}

export function decodedWeights(bytes: Uint8Array, block: WeightsBlock, layer: LayerInfo): LayerWeights {
  if (block.encoding === "top") return new LargestWeights(bytes, block, layer);
  if (block.encoding === "float16") return new WholeWeights(bytes, "float16", layer);
  const codes = block.encoding === "log8" ? bytes : summedRows(bytes, layer.queries, layer.keys);
  return new WholeWeights(codes, "log8", layer);
}

class WholeWeights implements LayerWeights {
  constructor(
    private readonly bytes: Uint8Array,
    private readonly encoding: "float16" | "log8",
    private readonly layer: LayerInfo,
  ) {}

  tile(request: TileRequest): Tile {
    const { queries, keys } = request;
    const width = lengthOf(keys);
    const values = new Float32Array(lengthOf(queries) * width);
    const size = this.encoding === "log8" ? 1 : 2;
    const head = (request.item * this.layer.heads.length + request.head) * this.layer.queries;
    for (let row = 0; row < lengthOf(queries); row += 1) {
      const start = (head + queries.start + row) * this.layer.keys + keys.start;
      const bytes = this.bytes.subarray(start * size, (start + width) * size);
      values.set(this.encoding === "log8" ? log8(bytes) : float16(bytes), row * width);
    }
    return pooled(values, queries, keys, request.maxRows, request.maxColumns);
  }
}

class LargestWeights implements LayerWeights {
  private readonly differences: Uint32Array;
  private readonly values: Float32Array;

  constructor(
    bytes: Uint8Array,
    private readonly block: Extract<WeightsBlock, { encoding: "top" }>,
    private readonly layer: LayerInfo,
  ) {
    const count = layer.items * layer.heads.length * layer.queries * block.top;
    const planes = block.index === "uint16" ? 2 : 4;
    this.differences = joinedPlanes(bytes, count, planes);
    const rest = bytes.subarray(count * planes);
    this.values = block.values === "log8" ? log8(rest) : float16(rest);
  }

  tile(request: TileRequest): Tile {
    const { queries, keys } = request;
    const width = lengthOf(keys);
    const values = new Float32Array(lengthOf(queries) * width);
    const head = (request.item * this.layer.heads.length + request.head) * this.layer.queries;
    for (let row = 0; row < lengthOf(queries); row += 1) {
      this.scatter(head + queries.start + row, keys.start, keys.stop, values, row * width);
    }
    return pooled(values, queries, keys, request.maxRows, request.maxColumns);
  }

  /** Puts the held weights of one row in their places; what is not held stays 0. */
  private scatter(row: number, first: number, stop: number, values: Float32Array, offset: number): void {
    const start = row * this.block.top;
    let key = 0;
    for (let place = start; place < start + this.block.top; place += 1) {
      key += this.differences[place] ?? 0;
      const value = this.values[place] ?? 0;
      // Rows with fewer weights end in zeros, which must not overwrite the last real one.
      if (value !== 0 && key >= first && key < stop) values[offset + key - first] = value;
    }
  }
}

/** A pooled map of every head, made before anything was left out. */
export class Overview {
  private readonly values: Float32Array;
  private readonly rows: number;
  private readonly columns: number;

  constructor(
    bytes: Uint8Array,
    private readonly block: OverviewBlock,
    private readonly layer: LayerInfo,
  ) {
    this.values = block.encoding === "log8" ? log8(bytes) : float16(bytes);
    this.rows = Math.ceil(layer.queries / block.row_step);
    this.columns = Math.ceil(layer.keys / block.column_step);
  }

  /** Whether a request wants the whole map no finer than this overview. */
  answers(request: TileRequest): boolean {
    const whole =
      request.queries.start === 0 &&
      request.keys.start === 0 &&
      request.queries.stop === this.layer.queries &&
      request.keys.stop === this.layer.keys;
    return whole && request.maxRows <= this.rows && request.maxColumns <= this.columns;
  }

  tile(request: TileRequest): Tile {
    const size = this.rows * this.columns;
    const start = (request.item * this.layer.heads.length + request.head) * size;
    const rows = { start: 0, stop: this.rows };
    const columns = { start: 0, stop: this.columns };
    const small = pooled(this.values.slice(start, start + size), rows, columns, request.maxRows, request.maxColumns);
    return {
      ...small,
      queries: request.queries,
      keys: request.keys,
      rowStep: small.rowStep * this.block.row_step,
      columnStep: small.columnStep * this.block.column_step,
    };
  }
}
