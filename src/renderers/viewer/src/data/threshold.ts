/** The threshold that the head view starts with: few enough lines to follow, whatever the length and the heads. */

import type { LayerInfo } from "../source/trace-info";
import type { Selection } from "../state/selection";
import type { Store } from "../state/store";

/** Lines beyond this are a tangle. */
const MOST_LINES = 240;
/** About so many rows of tokens are in sight at once. */
const ROWS_IN_SIGHT = 32;
/** A line of less is too faint to be seen; what is drawn where nothing is known, and where few lines are there anyway. */
const FAINT = 0.02;
/** `StatisticsInfo.levels` are the weights that so many keys of a query reach on average. */
export const LEVEL_COUNTS: readonly number[] = [0.25, 0.5, 1, 2, 4, 8];

export type Levels = readonly (number | null)[];

/** What decides which weights are shown. */
const DECIDING = ["layer", "heads", "item", "meanHeads", "meanLayers", "special", "sink", "pair"] as const satisfies readonly (keyof Selection)[];

/** The threshold of the head view: the chosen one, or the one that leaves about `MOST_LINES` lines of what is shown. */
export class Threshold {
  private measured: { readonly of: string; readonly threshold: number } | null = null;
  private readonly listeners: (() => void)[] = [];

  /** `queries` is how many rows are listed. */
  constructor(
    private readonly store: Store,
    private readonly queries: () => number,
  ) {}

  get(): number {
    const { selection, trace } = this.store;
    if (selection.threshold !== null) return selection.threshold;
    if (this.measured?.of === decidedBy(selection)) return this.measured.threshold;
    return automaticThreshold(selection, trace.layers[selection.layer]!, this.queries());
  }

  /** Whether what the page knows of each head beforehand is of other weights than those that are shown. */
  isUnknown(): boolean {
    const { selection } = this.store;
    const { special, sink, pair, meanHeads, meanLayers } = selection;
    const changed = special !== "show" || sink !== "show" || pair !== "all" || meanHeads || meanLayers;
    return changed && this.measured?.of !== decidedBy(selection);
  }

  /** What each series that is shown reaches, by some of its rows. */
  measure(series: readonly Levels[]): void {
    const threshold = thresholdFor(series, linesOfRow(this.queries()));
    this.measured = { of: decidedBy(this.store.selection), threshold };
    for (const listener of this.listeners) listener();
  }

  /** Calls `listener` when rows have been measured. */
  onMeasured(listener: () => void): void {
    this.listeners.push(listener);
  }
}

function decidedBy(selection: Selection): string {
  return JSON.stringify(DECIDING.map((field) => selection[field]));
}

function linesOfRow(queries: number): number {
  return MOST_LINES / Math.max(1, Math.min(queries, ROWS_IN_SIGHT));
}

/** What `count` rows reach, from all weights of theirs that may matter. */
export function levelsOf(weights: Float32Array, rows: number): Levels {
  const sorted = weights.toSorted();
  return LEVEL_COUNTS.map((count) => sorted[sorted.length - Math.max(1, Math.round(count * rows))] ?? 0);
}

export function automaticThreshold({ heads, item, meanHeads }: Selection, layer: LayerInfo, queries = layer.queries): number {
  const levels = layer.statistics[item]?.levels;
  const each = heads.flatMap((head) => (levels?.[head] === undefined ? [] : [levels[head]]));
  if (each.length === 0) return FAINT;
  const series = meanHeads && each.length > 1 ? [meanLevels(each)] : each;
  return thresholdFor(series, linesOfRow(queries));
}

/** The smallest threshold, to two digits, that keeps the lines of one row at `lines` or fewer. */
export function thresholdFor(series: readonly Levels[], lines: number): number {
  const count = (threshold: number): number => series.reduce((sum, levels) => sum + countAbove(levels, threshold), 0);
  let [low, high] = [1e-6, 1];
  for (let step = 0; step < 24; step += 1) {
    const middle = Math.sqrt(low * high);
    if (count(middle) > lines) low = middle;
    else high = middle;
  }
  const strongest = series.reduce((most, levels) => Math.max(most, levels[0] ?? 0), 0);
  // Where there are few lines anyway, those that can be seen; and never above everything.
  const faint = Math.min(FAINT, strongest / 10);
  const rounded = Number(Math.max(faint, Math.min(high, strongest)).toPrecision(2));
  return rounded > strongest && strongest > 0 ? strongest : rounded;
}

/** How many keys of a query weigh `threshold` or more on average; between known levels as a power law. */
export function countAbove(levels: Levels, threshold: number): number {
  let count = LEVEL_COUNTS[LEVEL_COUNTS.length - 1] ?? 0;
  for (let place = 0; place < LEVEL_COUNTS.length; place += 1) {
    const level = levels[place] ?? 0;
    if (level > threshold) continue;
    const reached = LEVEL_COUNTS[place] ?? 0;
    if (place === 0) return level === threshold ? reached : 0;
    const [above, before] = [levels[place - 1] ?? 0, LEVEL_COUNTS[place - 1] ?? 0];
    if (!(level > 0) || above <= level) return before;
    const share = Math.log(above / threshold) / Math.log(above / level);
    count = before * (reached / before) ** share;
    break;
  }
  return count;
}

function meanLevels(series: readonly Levels[]): Levels {
  return LEVEL_COUNTS.map((_, place) => series.reduce((sum, levels) => sum + (levels[place] ?? 0), 0) / series.length);
}
