/** Starts the viewer in a notebook's widget, and keeps its selection and the widget's traits the same. */

import { mountViewer } from "./shell/app";
import { kernelSource, type Messages } from "./source/kernel";
import type { TraceInfo } from "./source/trace-info";
import { firstSelection, isView } from "./state/first";
import type { Selection } from "./state/selection";

/** The part of an anywidget model that is needed here. */
interface Model extends Messages {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(event: string, callback: (...values: never[]) => void): void;
  off(event: string, callback: (...values: never[]) => void): void;
}

const SYNCED = ["view", "layer", "heads", "item", "query", "key"] as const;

function selectionIn(model: Model, trace: TraceInfo): Partial<Selection> {
  const first = firstSelection(trace);
  const view = model.get("view");
  const heads = model.get("heads");
  return {
    view: typeof view === "string" && isView(view) ? view : first.view,
    layer: numberOr(model.get("layer"), first.layer) ?? first.layer,
    heads: Array.isArray(heads) && heads.length > 0 ? heads.map(Number) : first.heads,
    item: numberOr(model.get("item"), first.item) ?? first.item,
    query: numberOr(model.get("query"), null),
    key: numberOr(model.get("key"), null),
  };
}

function numberOr(value: unknown, otherwise: number | null): number | null {
  return typeof value === "number" ? value : otherwise;
}

function same(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const trace = model.get("_trace") as TraceInfo;
  const { source, close } = kernelSource(trace, model);
  const host = document.createElement("div");
  host.style.height = `${Number(model.get("height")) || 640}px`;
  el.append(host);
  const first: Selection = { ...firstSelection(trace), ...selectionIn(model, trace) };
  const viewer = mountViewer(host, source, { first, urlState: false, onSelection: tell });
  function tell(selection: Selection): void {
    const changed = SYNCED.filter((name) => !same(model.get(name), selection[name]));
    for (const name of changed) model.set(name, selection[name]);
    if (changed.length > 0) model.save_changes();
  }
  const hear = (): void => viewer.store.select(selectionIn(model, trace));
  for (const name of SYNCED) model.on(`change:${name}`, hear);
  tell(viewer.store.selection);
  return () => {
    for (const name of SYNCED) model.off(`change:${name}`, hear);
    close();
    viewer.destroy();
  };
}

export default { render };
