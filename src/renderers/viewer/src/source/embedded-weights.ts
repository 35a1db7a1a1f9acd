/** The weights of one embedded layer, however they were written: whole, or the largest of each row. */

import type { WeightsBlock } from "./blocks";
import { float16, joinedPlanes, log8, summedRows } from "./decode";
import { ROUNDING, type Coding } from "./rounding";
import { emptyBounded, lengthOf, poolBoundedRow, pooled, pooledCodes, shapeOf, type TileShape } from "./pool";
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
    private readonly encoding: Coding,
    private readonly layer: LayerInfo,
  ) {}

  tile(request: TileRequest): Tile {
    const { queries, keys, maxRows, maxColumns } = request;
    const { encoding: coding } = this;
    const part = this.part(request);
    if (coding === "float16") return { ...pooled(float16(part), queries, keys, maxRows, maxColumns), coding };
    const shape = shapeOf(queries, keys, maxRows, maxColumns);
    return { ...shape, values: log8(pooledCodes(part, shape)), coding };
  }

  /** The bytes of the queries and keys that are asked for, row after row. */
  private part({ item, head, queries, keys }: TileRequest): Uint8Array {
    const { layer, bytes } = this;
    const size = this.encoding === "log8" ? 1 : 2;
    const first = (item * layer.heads.length + head) * layer.queries + queries.start;
    const width = lengthOf(keys) * size;
    if (lengthOf(keys) === layer.keys) return bytes.subarray(first * width, (first + lengthOf(queries)) * width);
    const part = new Uint8Array(lengthOf(queries) * width);
    for (let row = 0; row < lengthOf(queries); row += 1) {
      const start = ((first + row) * layer.keys + keys.start) * size;
      part.set(bytes.subarray(start, start + width), row * width);
    }
    return part;
  }
}

class LargestWeights implements LayerWeights {
  private readonly differences: Uint32Array;
  private readonly values: Float32Array;
  private readonly rounding: number;

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
    this.rounding = ROUNDING[block.values];
  }

  tile(request: TileRequest): Tile {
    const { queries, keys } = request;
    const shape = shapeOf(queries, keys, request.maxRows, request.maxColumns);
    const head = (request.item * this.layer.heads.length + request.head) * this.layer.queries;
    const values = new Float32Array(shape.rowStep === 1 ? shape.rows * shape.columns : shape.columns);
    const most = new Float32Array(values.length);
    if (shape.rowStep === 1) {
      for (let row = 0; row < shape.rows; row += 1) {
        const part = [row * shape.columns, (row + 1) * shape.columns] as const;
        this.fill(head + queries.start + row, queries.start + row, shape, values.subarray(...part), most.subarray(...part));
      }
      return { ...shape, values, most, coding: this.block.values };
    }
    const cells = emptyBounded(shape);
    for (let place = 0; place < lengthOf(queries); place += 1) {
      const query = queries.start + place;
      this.fill(head + query, query, shape, values, most);
      poolBoundedRow(values, most, cells, Math.floor(place / shape.rowStep) * shape.columns);
    }
    return { ...shape, ...cells, coding: this.block.values };
  }

  /** The cells of one query: what is held, and what the rest is below. */
  private fill(row: number, query: number, shape: TileShape, values: Float32Array, most: Float32Array): void {
    const { keys, columnStep } = shape;
    const end = (row + 1) * this.block.top;
    // Rows with fewer weights end in zeros; then nothing but what is next to nothing was left out.
    const full = this.values[end - 1] !== 0;
    values.fill(full ? Number.NaN : 0);
    most.fill(full ? this.smallest(row) * this.rounding : this.block.least);
    this.clearFuture(query, shape, values, most);
    let key = 0;
    for (let place = row * this.block.top; place < end; place += 1) {
      key += this.differences[place]!;
      const value = this.values[place]!;
      if (value === 0 || key < keys.start || key >= keys.stop) continue;
      const cell = Math.floor((key - keys.start) / columnStep);
      // Neither is where nothing of the cell is held yet, nor where it has the model's own NaN, which stays.
      const held = values[cell] === most[cell];
      if (held ? value > values[cell]! || value !== value : most[cell] === most[cell]) values[cell] = most[cell] = value;
    }
  }

  /** The smallest held weight of a row, regardless of sign. */
  private smallest(row: number): number {
    const { top } = this.block;
    let least = Number.POSITIVE_INFINITY;
    for (let place = row * top; place < (row + 1) * top; place += 1) {
      const size = Math.abs(this.values[place]!);
      if (size < least) least = size;
    }
    return least;
  }

  /** Keys that a query cannot see are nothing, which is known without being held. */
  private clearFuture(query: number, { keys, columnStep }: TileShape, values: Float32Array, most: Float32Array): void {
    const { causal } = this.block;
    if (causal === null) return;
    const from = Math.ceil(Math.max(0, query + causal + 1 - keys.start) / columnStep);
    values.fill(0, from);
    most.fill(0, from);
  }
}
