/** Collects the lines that a scene draws, each with its strength. */

import { faintest, levelOf, strength, type LineBuffer, type StrengthScale } from "../draw/lines";
import type { VisibleRows } from "../draw/token-column-rows";
import type { Figures } from "./head-figures";
import type { Listing } from "./head-listing";
import type { Cells, HeadWeights } from "./head-weights";

/** Adds all lines that have at least one end in the window. */
export function collectAll(
  lines: LineBuffer,
  weights: HeadWeights,
  listing: Listing,
  visible: { readonly queries: VisibleRows; readonly keys: VisibleRows },
  scale: StrengthScale,
): void {
  const { queries, keys } = visible;
  for (let series = 0; series < weights.series.length; series++) {
    for (let row = queries.first; row < queries.last; row++) {
      const cells = weights.row(series, listing.queries[row]!);
      if (cells !== null) collect(cells, listing.keys, scale, (other, level) => lines.push(row, other, series, level));
    }
    for (let row = keys.first; row < keys.last; row++) {
      const cells = weights.column(series, listing.keys[row]!);
      if (cells === null) continue;
      collect(cells, listing.queries, scale, (other, level) => {
        // Lines of queries in the window are there already.
        if (other < queries.first || other >= queries.last) lines.push(other, row, series, level);
      });
    }
  }
}

/** Adds the lines of a single token. */
export function collectFigures(lines: LineBuffer, figures: Figures, scale: StrengthScale): void {
  const { kind, row, bySeries } = figures;
  bySeries.forEach((values, series) => {
    if (values === null) return;
    for (let other = 0; other < values.length; other++) {
      const level = levelOf(strength(values[other]!, scale));
      if (kind === "query") lines.push(row, other, series, level);
      else lines.push(other, row, series, level);
    }
  });
}

function collect(cells: Cells, positions: readonly number[], scale: StrengthScale, found: (row: number, level: number) => void): void {
  const { values, start, step, from } = cells;
  const least = faintest(scale);
  for (let row = 0; row < positions.length; row++) {
    const weight = values[start + (positions[row]! - from) * step]!;
    if (weight >= least) found(row, levelOf(strength(weight, scale)));
  }
}
