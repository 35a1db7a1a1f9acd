/** Which filters are at work, in words, and how each is taken away. */

import type { Selection } from "../state/selection";

export interface ActiveFilter {
  readonly text: string;
  /** What to select to be rid of it. */
  readonly without: Partial<Selection>;
}

export const PAIRS = [
  ["all", "All", "Every pair of sentences"],
  ["AA", "A→A", "From sentence A to sentence A"],
  ["AB", "A→B", "From sentence A to sentence B"],
  ["BA", "B→A", "From sentence B to sentence A"],
  ["BB", "B→B", "From sentence B to sentence B"],
] as const;

const DONE = { show: "shown", discount: "discounted", hide: "hidden" } as const;

/** Those that the view which is shown obeys; `pairs`: whether both axes tell sentences apart. */
export function activeFilters(selection: Selection, pairs = true): readonly ActiveFilter[] {
  const found: ActiveFilter[] = [];
  const { view } = selection;
  if (view === "neuron") return found;
  if (selection.meanLayers && view !== "model") found.push({ text: "Mean of all layers", without: { meanLayers: false } });
  if (selection.special !== "show") {
    found.push({ text: `Special tokens ${DONE[selection.special]}`, without: { special: "show" } });
  }
  if (selection.sink !== "show") found.push({ text: `Sink ${DONE[selection.sink]}`, without: { sink: "show" } });
  const pair = PAIRS.find(([name]) => name === selection.pair);
  if (pairs && pair !== undefined && selection.pair !== "all") found.push({ text: pair[1], without: { pair: "all" } });
  return found;
}
