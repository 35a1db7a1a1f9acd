/** Collects the lines that a scene draws, each with its strength. */

import { FAINTEST_LEVEL, faintest, levelOf, strength, type LineBuffer, type StrengthScale } from "../draw/lines";
import type { VisibleRows } from "../draw/token-column-rows";
import { strongestRows, type Figures } from "./head-figures";
import type { Listing } from "./head-listing";
import type { Cells, HeadWeights } from "./head-weights";

/** Lines of a single token that are drawn whatever the threshold, over all series and of one of them. */
const ALWAYS_DRAWN = 16;
const ALWAYS_OF_ONE = 10;
const ALWAYS_OF_MANY = 2;
/** However weak they are, these can be seen. */
const SEEN_LEVEL = 16;

/**
 * Adds the lines of the queries in the window, wherever their keys are. Those of other queries would come in from the
 * edge by the thousand, as a wedge that hides the rest, wherever many tokens attend to one; pointing at a key shows them.
 */
export function collectAll(lines: LineBuffer, weights: HeadWeights, listing: Listing, queries: VisibleRows, scale: StrengthScale): void {
  for (let series = 0; series < weights.series.length; series++) {
    for (let row = queries.first; row < queries.last; row++) {
      const cells = weights.row(series, listing.queries[row]!);
      if (cells !== null) collect(cells, listing.keys, scale, (other, level) => lines.push(row, other, series, level));
    }
  }
}

/** How many of a token's lines are drawn for each series, however weak they are. */
export function alwaysDrawn(series: number): number {
  return Math.max(ALWAYS_OF_MANY, Math.min(ALWAYS_OF_ONE, Math.round(ALWAYS_DRAWN / Math.max(1, series))));
}

/**
 * Adds the lines of a single token: those from the threshold on, and its strongest ones in any case.
 *
 * `other` is the row of the token that is pinned beside it: that pair is drawn however weak it is.
 */
export function collectFigures(lines: LineBuffer, figures: Figures, scale: StrengthScale, other: number | null): void {
  const { kind, bySeries } = figures;
  const all = { ...scale, threshold: 0 };
  const most = alwaysDrawn(bySeries.length);
  bySeries.forEach((values, series) => {
    if (values === null) return;
    const add = (row: number, level: number): void => {
      if (kind === "query") lines.push(figures.row, row, series, level);
      else lines.push(row, figures.row, series, level);
    };
    const strong = new Set(strongestRows(values, most));
    for (const row of strong) add(row, Math.max(SEEN_LEVEL, levelOf(strength(values[row]!, all))));
    for (let row = 0; row < values.length; row++) {
      const weight = values[row]!;
      if (!(weight > 0) || strong.has(row)) continue;
      if (row === other) add(row, Math.max(FAINTEST_LEVEL, levelOf(strength(weight, all))));
      else if (weight >= scale.threshold) add(row, levelOf(strength(weight, scale)));
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
