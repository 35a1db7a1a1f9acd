/** Query and key vectors of one embedded layer, with its bias and mask where they were written. */

import type { VectorsBlock } from "./blocks";
import { float16, interleaved, unpackedBits } from "./decode";
import { lengthOf } from "./pool";
import type { VectorRequest, Vectors } from "./source";
import type { LayerInfo } from "./trace-info";

export class LayerVectors {
  private readonly query: Float32Array;
  private readonly key: Float32Array;
  private readonly bias: Float32Array | null;
  private readonly allowed: Uint8Array | null;

  constructor(
    bytes: Uint8Array,
    private readonly block: VectorsBlock,
    private readonly layer: LayerInfo,
    private readonly size: { readonly headDim: number; readonly keyHeads: number },
  ) {
    let offset = 0;
    const take = (count: number): Float32Array => {
      const part = bytes.subarray(offset, offset + 2 * count);
      offset += 2 * count;
      return float16(interleaved(part));
    };
    this.query = take(layer.items * layer.heads.length * layer.queries * size.headDim);
    this.key = take(layer.items * size.keyHeads * layer.keys * size.headDim);
    this.bias = block.bias ? take(product(block.bias)) : null;
    this.allowed = block.allowed ? unpackedBits(bytes.subarray(offset), product(block.allowed)) : null;
  }

  vectors(request: VectorRequest): Vectors {
    const { headDim, keyHeads } = this.size;
    const { queries, keys, item, head } = request;
    // Grouped-query attention: consecutive heads share a key head.
    const keyHead = Math.floor(head / (this.layer.heads.length / keyHeads));
    const queryStart = (item * this.layer.heads.length + head) * this.layer.queries;
    const keyStart = (item * keyHeads + keyHead) * this.layer.keys;
    const rows = (data: Float32Array, start: number, first: number, stop: number): Float32Array =>
      data.slice((start + first) * headDim, (start + stop) * headDim);
    return {
      queries,
      keys,
      headDim,
      query: rows(this.query, queryStart, queries.start, queries.stop),
      key: rows(this.key, keyStart, keys.start, keys.stop),
      bias: this.bias && Float32Array.from(broadcast(this.bias, this.block.bias ?? [], request)),
      allowed: this.allowed && Uint8Array.from(broadcast(this.allowed, this.block.allowed ?? [], request)),
    };
  }
}

function product(shape: readonly number[]): number {
  return shape.reduce((total, size) => total * size, 1);
}

/** The (queries, keys) part of an array of shape (items, heads, queries, keys), each 1 where it is shared. */
function broadcast(data: ArrayLike<number>, shape: readonly number[], request: VectorRequest): number[] {
  const [items = 1, heads = 1, rows = 1, columns = 1] = shape;
  const { queries, keys } = request;
  const lead = ((items === 1 ? 0 : request.item) * heads + (heads === 1 ? 0 : request.head)) * rows;
  const values: number[] = new Array(lengthOf(queries) * lengthOf(keys));
  let place = 0;
  for (let query = queries.start; query < queries.stop; query += 1) {
    const row = (lead + (rows === 1 ? 0 : query)) * columns;
    for (let key = keys.start; key < keys.stop; key += 1) {
      values[place] = data[row + (columns === 1 ? 0 : key)] ?? 0;
      place += 1;
    }
  }
  return values;
}
