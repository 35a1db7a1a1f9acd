/** Keeps the selection and a notebook widget's traits the same, whichever of the two changes. */

import type { TraceInfo } from "../source/trace-info";
import { firstSelection, isView } from "./first";
import type { Selection } from "./selection";
import type { Store } from "./store";

/** The part of an anywidget model that is needed here. */
export interface Traits {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(event: string, callback: () => void): void;
  off(event: string, callback: () => void): void;
}

const SYNCED = ["view", "layer", "heads", "item", "query", "key", "theme"] as const;
type Synced = Pick<Selection, (typeof SYNCED)[number]>;

/** The selection that the traits name; what they lack or have wrong is as when a page opens. */
export function selectionOf(traits: Pick<Traits, "get">, trace: TraceInfo): Synced {
  const first = firstSelection(trace);
  const [view, heads, theme] = [traits.get("view"), traits.get("heads"), traits.get("theme")];
  return {
    view: isView(view) ? view : first.view,
    layer: numberOr(traits.get("layer"), first.layer),
    heads: Array.isArray(heads) && heads.length > 0 ? heads.map(Number) : first.heads,
    item: numberOr(traits.get("item"), first.item),
    query: numberOr(traits.get("query"), null),
    key: numberOr(traits.get("key"), null),
    theme: theme === "light" || theme === "dark" || theme === "auto" ? theme : first.theme,
  };
}

/** Returns a function that ends it. Both have the store's selection to begin with. */
export function syncTraits(store: Store, traits: Traits): () => void {
  let ended = false;
  let hearing = false;
  const tell = (selection: Selection): void => {
    const changed = SYNCED.filter((name) => !same(traits.get(name), selection[name]));
    for (const name of changed) traits.set(name, selection[name]);
    if (changed.length > 0) traits.save_changes();
  };
  // Several traits change one after the other, each with an event of its own; only the last leaves them consistent.
  const hear = (): void => {
    if (hearing) return;
    hearing = true;
    queueMicrotask(() => {
      hearing = false;
      if (ended) return;
      store.select(selectionOf(traits, store.trace));
      tell(store.selection);
    });
  };
  for (const name of SYNCED) traits.on(`change:${name}`, hear);
  const stop = store.onSelection(tell);
  tell(store.selection);
  return () => {
    ended = true;
    stop();
    for (const name of SYNCED) traits.off(`change:${name}`, hear);
  };
}

function numberOr<T>(value: unknown, otherwise: T): number | T {
  return typeof value === "number" ? value : otherwise;
}

function same(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}
