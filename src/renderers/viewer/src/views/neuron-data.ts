/** Everything the neuron view shows of one head and one query: its vectors, each step to the weights, and the verdict. */

import { products, robustLimit, scoreRow, type ScoreRow } from "./neuron-arithmetic";
import { judge, type Verdict } from "./neuron-verdict";
import type { ViewContext } from "./view";

export interface NeuronData {
  readonly head: number;
  readonly query: number;
  readonly headDim: number;
  readonly queryVector: Float32Array;
  /** (keys, headDim), row-major. */
  readonly keyVectors: Float32Array;
  readonly bias: Float32Array | null;
  readonly allowed: Uint8Array | null;
  readonly sink: number | null;
  readonly row: ScoreRow;
  readonly verdict: Verdict;
  /** What the strongest colour stands for: in the vectors, and in the products. */
  readonly vectorLimit: number;
  readonly productLimit: number;
}

export async function readNeuron(context: ViewContext, head: number, query: number): Promise<NeuronData> {
  const { reader, trace, store } = context;
  const layer = context.layer();
  const queries = { start: query, stop: query + 1 };
  const keys = { start: 0, stop: layer.keys };
  const series = reader.headSeries(store.selection.layer, head);
  const [vectors, block] = await Promise.all([
    reader.vectors(head, queries, keys),
    reader.block({ series, item: store.selection.item, queries, keys, maxRows: 1, maxColumns: layer.keys, raw: true }),
  ]);
  const { scoring } = layer;
  const sink = scoring?.sinks?.[head] ?? null;
  const rules = { scale: scoring?.scale ?? 1, softcap: scoring?.softcap ?? null, bias: vectors.bias, allowed: vectors.allowed, sink };
  const row = scoreRow(vectors.query, vectors.key, rules);
  return {
    head,
    query,
    headDim: vectors.headDim,
    queryVector: vectors.query,
    keyVectors: vectors.key,
    bias: vectors.bias,
    allowed: vectors.allowed,
    sink,
    row,
    verdict: judge({ row, shown: block.values, most: block.most, layer, precision: trace.precision }),
    vectorLimit: Math.max(robustLimit(vectors.query), robustLimit(vectors.key)),
    productLimit: limitOfProducts(vectors.query, vectors.key),
  };
}

export function keyVector(data: NeuronData, key: number): Float32Array {
  return data.keyVectors.subarray(key * data.headDim, (key + 1) * data.headDim);
}

export function isMasked(data: NeuronData, key: number): boolean {
  return data.allowed !== null && !data.allowed[key];
}

/** Looks at no more than some hundred keys: the limit is for colours only. */
function limitOfProducts(query: Float32Array, keys: Float32Array): number {
  const count = query.length === 0 ? 0 : keys.length / query.length;
  const stride = Math.max(1, Math.floor(count / 300));
  const found: number[] = [];
  for (let key = 0; key < count; key += stride) {
    found.push(...products(query, keys.subarray(key * query.length, (key + 1) * query.length)));
  }
  return robustLimit(Float32Array.from(found));
}
