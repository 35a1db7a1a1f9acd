/** Puts a selection right, so that no view ever sees a layer, head or token that the trace does not have. */

import type { LayerInfo, TraceInfo } from "../source/trace-info";
import type { Selection } from "./selection";

export function legal(selection: Selection, trace: TraceInfo): Selection {
  const place = within(selection.layer, trace.layers.length);
  const layer = trace.layers[place];
  if (layer === undefined) throw new Error("a trace has at least one layer");
  return {
    ...selection,
    layer: place,
    heads: legalHeads(selection.heads, layer),
    item: within(selection.item, layer.items),
    query: position(selection.query, layer.queries),
    key: position(selection.key, layer.keys),
    // Not a number, from a link that somebody has written, is 0.
    threshold: Math.min(1, Math.max(0, selection.threshold || 0)),
  };
}

function legalHeads(heads: readonly number[], layer: LayerInfo): readonly number[] {
  const kept = [...new Set(heads)].filter((head) => Number.isInteger(head) && head >= 0 && head < layer.heads.length);
  if (kept.length === 0) return layer.heads.map((_, head) => head);
  return kept.sort((left, right) => left - right);
}

function within(value: number, length: number): number {
  return Math.min(length - 1, Math.max(0, Math.trunc(value) || 0));
}

function position(value: number | null, length: number): number | null {
  return value !== null && Number.isInteger(value) && value >= 0 && value < length ? value : null;
}
