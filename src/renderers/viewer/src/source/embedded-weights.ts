/** The weights of one embedded layer, however they were written: whole, or the largest of each row. */

import type { WeightsBlock } from "./blocks";
import { float16, joinedPlanes, log8, summedRows } from "./decode";
import { lengthOf, pooled, shapeOf, type TileShape } from "./pool";
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
    const shape = shapeOf(queries, keys, request.maxRows, request.maxColumns);
    const values = new Float32Array(shape.rows * shape.columns);
    const head = (request.item * this.layer.heads.length + request.head) * this.layer.queries;
    for (let row = 0; row < lengthOf(queries); row += 1) {
      const target = Math.floor(row / shape.rowStep) * shape.columns;
      this.scatter(head + queries.start + row, shape, values, target);
    }
    return { ...shape, values };
  }

  /** Puts the held weights of one row into the cells from `target` on; what is not held counts as 0. */
  private scatter(row: number, shape: TileShape, cells: Float32Array, target: number): void {
    const { keys, columnStep } = shape;
    // A cell of one position takes its weight as it is, even a negative one.
    const single = shape.rowStep * columnStep === 1;
    const end = (row + 1) * this.block.top;
    let key = 0;
    for (let place = row * this.block.top; place < end; place += 1) {
      key += this.differences[place]!;
      const value = this.values[place]!;
      // Rows with fewer weights end in zeros, which must not overwrite the last real one.
      if (value === 0 || key < keys.start || key >= keys.stop) continue;
      const cell = target + Math.floor((key - keys.start) / columnStep);
      if (single || value > cells[cell]! || value !== value) cells[cell] = value;
    }
  }
}
