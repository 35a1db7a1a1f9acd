/** Which controls mean something for a view and a trace; the others are not shown. */

import { hasPairs } from "../data/filters";
import type { AxisInfo, LayerInfo, TraceInfo } from "../source/trace-info";
import type { Selection } from "../state/selection";

export interface Relevant {
  readonly groups: boolean;
  readonly layers: boolean;
  readonly heads: boolean;
  /** More than one head at a time. */
  readonly severalHeads: boolean;
  readonly items: boolean;
  readonly meanHeads: boolean;
  readonly meanLayers: boolean;
  readonly special: boolean;
  readonly sink: boolean;
  readonly pairs: boolean;
  readonly threshold: boolean;
  readonly scale: boolean;
  readonly search: boolean;
}

export function relevantControls(selection: Selection, trace: TraceInfo, layer: LayerInfo): Relevant {
  const { view } = selection;
  const query = trace.axes[layer.queryAxis];
  const key = trace.axes[layer.keyAxis];
  // The neuron view explains one head's own arithmetic; means and discounts would not add up to it.
  const averages = view === "head" || view === "matrix";
  const weights = view !== "neuron";
  return {
    groups: trace.groups.length > 1,
    layers: view !== "model" && trace.layers.length > 1,
    heads: view !== "model",
    severalHeads: averages,
    items: layer.items > 1,
    meanHeads: averages && layer.heads.length > 1,
    meanLayers: averages && trace.layers.length > 1,
    special: weights && hasSpecial(key, selection.item),
    sink: weights,
    pairs: weights && [query, key].every((axis) => axis !== undefined && hasPairs(axis, selection.item)),
    threshold: view === "head",
    scale: view === "matrix",
    search: view !== "model",
  };
}

function hasSpecial(axis: AxisInfo | undefined, item: number): boolean {
  return axis?.special?.[item]?.includes(1) ?? false;
}
