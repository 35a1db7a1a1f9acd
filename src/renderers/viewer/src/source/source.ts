/**
 * The one thing the views know about where numbers come from.
 *
 * Three implementations: data embedded in the page, the notebook's kernel, a local server. Every position of a layer,
 * head or batch item is an index from 0 into the lists of `TraceInfo`; a head's own number in the model is
 * `LayerInfo.heads[head]`.
 */

import type { Coding } from "./rounding";
import type { TraceInfo } from "./trace-info";

/** Positions from `start` up to, and without, `stop`. */
export interface Range {
  readonly start: number;
  readonly stop: number;
}

/** A block of one head's weights, pooled when it has more rows or columns than asked for. */
export interface TileRequest {
  readonly layer: number;
  readonly head: number;
  readonly item: number;
  readonly queries: Range;
  readonly keys: Range;
  /** At most this many rows and columns in the answer; the same as the block's size for every single weight. */
  readonly maxRows: number;
  readonly maxColumns: number;
}

/**
 * Weights in row-major order. A cell of a pooled tile is the largest weight among `rowStep` x `columnStep` positions.
 * The last row and column may stand for fewer. NaN where the model's weight is NaN.
 *
 * `most` is there where the source left weights out: what each cell is at most. It is the value where the cell is held;
 * where nothing of the cell is held the value is NaN and `most` a number; where it is held in part `most` is larger.
 *
 * `coding` is there where weights are as a file has rounded them.
 */
export interface Tile {
  readonly queries: Range;
  readonly keys: Range;
  readonly rows: number;
  readonly columns: number;
  readonly rowStep: number;
  readonly columnStep: number;
  readonly values: Float32Array;
  readonly most?: Float32Array | undefined;
  readonly coding?: Coding | undefined;
}

/** Query and key vectors of one head, and what else the scores depend on. */
export interface VectorRequest {
  readonly layer: number;
  readonly head: number;
  readonly item: number;
  readonly queries: Range;
  readonly keys: Range;
}

/**
 * `query` is (queries, headDim) and `key` (keys, headDim), row-major. `bias` (queries, keys) is what the model adds to
 * the scores, null when it adds nothing or the source does not hold it (`LayerInfo.scoring.bias` tells which).
 * `allowed` (queries, keys) is 0 where a mask, causality or a window forbids attention; null when everything is allowed.
 */
export interface Vectors {
  readonly queries: Range;
  readonly keys: Range;
  readonly headDim: number;
  readonly query: Float32Array;
  readonly key: Float32Array;
  readonly bias: Float32Array | null;
  readonly allowed: Uint8Array | null;
}

export interface TileSource {
  readonly trace: TraceInfo;
  /** Rejects with a `SourceError` when the block does not exist or the connection is lost. */
  tile(request: TileRequest): Promise<Tile>;
  /** Rejects with a `SourceError` when the layer's query and key are not held. */
  vectors(request: VectorRequest): Promise<Vectors>;
}

/** What was asked, what was found and what to do next, in a sentence that is shown to the person. */
export class SourceError extends Error {
  override readonly name = "SourceError";
}
