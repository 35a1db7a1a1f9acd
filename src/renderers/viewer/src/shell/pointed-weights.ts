/** The weights of the token that is pointed at or pinned: a row for a query, a column for a key. */

import type { Series, WeightsReader } from "../data/reader";
import type { LayerInfo } from "../source/trace-info";
import type { Focus, Selection } from "../state/selection";

/** A query (it attends to keys) or a key (queries attend to it), and the token at the other end, if there is one. */
export interface Pointed {
  readonly side: "query" | "key";
  readonly position: number;
  readonly other: number | null;
}

/** Weights, and what each is at most; one array twice where all are held. */
export interface Row {
  readonly values: Float32Array;
  readonly most: Float32Array;
}

export interface PointedWeights {
  readonly pointed: Pointed;
  readonly series: readonly Series[];
  /** One of each series: a weight for each position of the other side. */
  readonly rows: readonly Row[];
}

/** What is under the pointer goes before what is pinned; a query goes before a key. */
export function pointedAt(selection: Selection, focus: Focus): Pointed | null {
  const query = focus.query ?? selection.query;
  const key = focus.key ?? selection.key;
  // Pointing at a key alone asks who attends to it, unless a query is pinned.
  if (query !== null) return { side: "query", position: query, other: key };
  return key === null ? null : { side: "key", position: key, other: null };
}

/** `raw`: with nothing discounted, as the neuron view computes them. */
export async function readPointed(
  series: readonly Series[],
  reader: WeightsReader,
  layer: LayerInfo,
  item: number,
  pointed: Pointed,
  raw = false,
): Promise<PointedWeights> {
  const one = { start: pointed.position, stop: pointed.position + 1 };
  const whole = { start: 0, stop: pointed.side === "query" ? layer.keys : layer.queries };
  const size = whole.stop;
  const shape =
    pointed.side === "query"
      ? { queries: one, keys: whole, maxRows: 1, maxColumns: size }
      : { queries: whole, keys: one, maxRows: size, maxColumns: 1 };
  const tiles = await Promise.all(series.map((entry) => reader.block({ series: entry, item, ...shape, raw })));
  return { pointed, series, rows: tiles.map(({ values, most }) => ({ values, most: most ?? values })) };
}
