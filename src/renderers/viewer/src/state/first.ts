/** What a page opens with: what was asked for when it was made, and sensible choices for the rest. */

import type { TraceInfo } from "../source/trace-info";
import { legal } from "./legal";
import { VIEW_NAMES, type Selection, type ViewName } from "./selection";

export function firstSelection(trace: TraceInfo): Selection {
  const { start } = trace;
  const layer = start.layer ?? 0;
  const plain: Selection = {
    view: isView(start.view) ? start.view : "head",
    layer,
    heads: start.heads ?? trace.layers[layer]?.heads.map((_, head) => head) ?? [0],
    item: start.item ?? 0,
    query: start.query,
    key: null,
    meanHeads: false,
    meanLayers: false,
    special: "show",
    sink: "show",
    pair: "all",
    threshold: null,
    scale: "linear",
    sort: "position",
    shown: null,
    window: null,
    order: "number",
    pattern: "",
    descending: false,
    ranked: false,
    only: false,
    modelScale: "root",
    theme: start.theme,
    search: "",
  };
  return legal(plain, trace);
}

export function isView(name: unknown): name is ViewName {
  return VIEW_NAMES.some((view) => view === name);
}
