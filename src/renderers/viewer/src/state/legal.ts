/** Puts a selection right, so that no view ever sees a layer, head or token that the trace does not have. */

import type { LayerInfo, TraceInfo } from "../source/trace-info";
import type { MatrixWindow, Selection } from "./selection";

export function legal(selection: Selection, trace: TraceInfo): Selection {
  const place = within(selection.layer, trace.layers.length);
  const layer = trace.layers[place];
  if (layer === undefined) throw new Error("a trace has at least one layer");
  const heads = legalHeads(selection.heads, layer);
  const { shown, threshold } = selection;
  return {
    ...selection,
    layer: place,
    heads,
    item: within(selection.item, layer.items),
    query: position(selection.query, layer.queries),
    key: position(selection.key, layer.keys),
    // Not a number, from a link that somebody has written, is 0.
    threshold: threshold === null ? null : Math.min(1, Math.max(0, threshold || 0)),
    // The first of the heads is what is shown without a choice.
    shown: shown === null || !heads.includes(shown) || shown === heads[0] ? null : shown,
    window: legalWindow(selection.window, layer),
  };
}

function legalHeads(heads: readonly number[], layer: LayerInfo): readonly number[] {
  const kept = [...new Set(heads)].filter((head) => Number.isInteger(head) && head >= 0 && head < layer.heads.length);
  if (kept.length === 0) return layer.heads.map((_, head) => head);
  return kept.sort((left, right) => left - right);
}

function legalWindow(window: MatrixWindow | null, layer: LayerInfo): MatrixWindow | null {
  if (window === null || window.length !== 4 || !window.every((edge) => Number.isInteger(edge) && edge >= 0)) return null;
  const [top, bottom, left, right] = window;
  return top < bottom && bottom <= layer.queries && left < right && right <= layer.keys ? window : null;
}

function within(value: number, length: number): number {
  return Math.min(length - 1, Math.max(0, Math.trunc(value) || 0));
}

function position(value: number | null, length: number): number | null {
  return value !== null && Number.isInteger(value) && value >= 0 && value < length ? value : null;
}
