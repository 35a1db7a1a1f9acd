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
  /** The mean over the series that are there, per row of the other side; a weight that is not known adds nothing. */
  readonly mean: Float32Array;
  /** What the mean is at most: more than the mean where some weight of it is not in the file. */
  readonly most: Float32Array;
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
  const { mean, most, top } = meansOf(there);
  const topMean = mean.reduce((largest, weight) => (weight > largest ? weight : largest), 0);
  return { kind: scene.kind, row: scene.row, bySeries: bySeries.map((row) => row?.values ?? null), mean, most, top, topMean };
}

interface Picked {
  readonly values: Float32Array;
  readonly most: Float32Array;
}

function meansOf(rows: readonly Picked[]): { mean: Float32Array; most: Float32Array; top: number } {
  const length = rows[0]?.values.length ?? 0;
  const mean = new Float32Array(length);
  const most = new Float32Array(length);
  let top = 0;
  for (const { values, most: bounds } of rows) {
    for (let place = 0; place < length; place++) {
      const weight = values[place]!;
      const bound = bounds[place]!;
      // Left out of the file, which is not the same as not a number in the model: that spoils the mean, as it should.
      const known = Number.isNaN(weight) && !Number.isNaN(bound) ? 0 : weight;
      mean[place]! += known / rows.length;
      most[place]! += bound / rows.length;
      if (weight > top) top = weight;
    }
  }
  return { mean, most, top };
}

/** Whether a row's mean is known in full: rounding alone makes a mean and its bound differ by less. */
export function isKnown({ mean, most }: Pick<Figures, "mean" | "most">, row: number): boolean {
  return !(most[row]! - mean[row]! > 1e-6);
}

function cellsOf(scene: { kind: "query" | "key"; row: number }, series: number, listing: Listing, weights: HeadWeights): Cells | null {
  if (scene.kind === "query") return weights.row(series, listing.queries[scene.row] ?? 0);
  return weights.column(series, listing.keys[scene.row] ?? 0);
}

function picked({ values, most, start, step, from }: Cells, positions: readonly number[]): Picked {
  const of = (numbers: Float32Array): Float32Array => {
    const row = new Float32Array(positions.length);
    for (let place = 0; place < row.length; place++) row[place] = numbers[start + (positions[place]! - from) * step]!;
    return row;
  };
  const row = of(values);
  return { values: row, most: most === undefined ? row : of(most) };
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
