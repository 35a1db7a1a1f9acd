/** Whose numbers the details list: what the view shows large. */

import type { Series, WeightsReader } from "../data/reader";
import type { Selection } from "../state/selection";
import { shownHeads } from "./head-choice";

export function shownSeries(selection: Selection, reader: WeightsReader): readonly Series[] {
  // The neuron view takes one head of one layer apart, whatever is averaged elsewhere.
  if (selection.view === "neuron") return shownHeads(selection).map((head) => reader.headSeries(selection.layer, head));
  const series = reader.series();
  if (selection.view !== "matrix") return series;
  const large = series.find(({ heads }) => heads.length === 1 && heads[0] === selection.shown) ?? series[0];
  return large === undefined ? [] : [large];
}
