/** The numbers of one token: its weight for every token on the other side, by series and on average. */

import type { Cells, HeadWeights } from "./head-weights";
import type { Listing } from "./head-listing";
import type { Scene } from "./head-scene";

export interface Figures {
  /** On which side the token stands; the figures are about the other one. */
  readonly kind: "query" | "key";
  readonly row: number;
  /** Per series, per row of the other side; null while a series' weights are not there. */
  readonly bySeries: readonly (Float32Array | null)[];
  /** The mean over the series that are there, per row of the other side. */
  readonly mean: Float32Array;
  /** The largest single weight and the largest mean. */
  readonly top: number;
  readonly topMean: number;
}

/** Null when the scene has no single token, or nothing of it is there yet. */
export function figuresOf(scene: Scene, listing: Listing, weights: HeadWeights): Figures | null {
  if (scene.kind === "all") return null;
  const others = scene.kind === "query" ? listing.keys : listing.queries;
  const bySeries = weights.series.map((_, place) => {
    const cells = cellsOf(scene, place, listing, weights);
    return cells === null ? null : picked(cells, others);
  });
  const there = bySeries.filter((values) => values !== null);
  if (there.length === 0) return null;
  const mean = new Float32Array(others.length);
  let top = 0;
  for (const values of there) {
    for (let row = 0; row < mean.length; row++) {
      const weight = values[row]!;
      mean[row]! += weight / there.length;
      if (weight > top) top = weight;
    }
  }
  const topMean = mean.reduce((most, weight) => (weight > most ? weight : most), 0);
  return { kind: scene.kind, row: scene.row, bySeries, mean, top, topMean };
}

function cellsOf(scene: { kind: "query" | "key"; row: number }, series: number, listing: Listing, weights: HeadWeights): Cells | null {
  if (scene.kind === "query") return weights.row(series, listing.queries[scene.row] ?? 0);
  return weights.column(series, listing.keys[scene.row] ?? 0);
}

function picked({ values, start, step, from }: Cells, positions: readonly number[]): Float32Array {
  return Float32Array.from(positions, (position) => values[start + (position - from) * step]!);
}

/** The rows with the largest means, largest first; rows of weight 0 are left out. */
export function strongestRows(mean: Float32Array, count: number): number[] {
  const rows: number[] = [];
  for (let row = 0; row < mean.length; row++) {
    const weight = mean[row]!;
    if (!(weight > 0)) continue;
    const place = rows.findIndex((other) => mean[other]! < weight);
    if (place >= 0) rows.splice(place, 0, row);
    else rows.push(row);
    if (rows.length > count) rows.pop();
  }
  return rows;
}
