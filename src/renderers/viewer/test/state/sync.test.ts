import { expect, it } from "vitest";
import { firstSelection } from "../../src/state/first";
import { Store } from "../../src/state/store";
import { selectionOf, syncTraits, type Traits } from "../../src/state/sync";
import { axisInfo, layerInfo, traceInfo } from "../helpers/traces";

const trace = traceInfo(axisInfo(6), [layerInfo(6, 6), layerInfo(4, 4, { index: 1, heads: [0, 1, 2] })]);

/** Says at once what has changed, as a notebook's model does, to everyone who shares it. */
class Model implements Traits {
  readonly values: Record<string, unknown> = { view: "head", layer: 0, heads: [0, 1], item: 0, query: null, key: null, theme: "auto" };
  readonly listeners = new Map<string, Set<() => void>>();
  saved = 0;

  get(name: string): unknown {
    return this.values[name];
  }

  set(name: string, value: unknown): void {
    if (JSON.stringify(this.values[name]) === JSON.stringify(value)) return;
    this.values[name] = value;
    for (const listener of this.listeners.get(`change:${name}`) ?? []) listener();
  }

  save_changes(): void {
    this.saved += 1;
  }

  on(event: string, callback: () => void): void {
    this.listeners.set(event, (this.listeners.get(event) ?? new Set()).add(callback));
  }

  off(event: string, callback: () => void): void {
    this.listeners.get(event)?.delete(callback);
  }
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

function shown(model: Model) {
  const store = new Store(trace, { ...firstSelection(trace), ...selectionOf(model, trace) });
  const heard: number[] = [];
  const end = syncTraits(store, model);
  store.onSelection((selection) => heard.push(selection.layer));
  return { store, heard, end };
}

it("tells the notebook once of several changes, and hears no echo of them", async () => {
  const model = new Model();
  const { store, heard } = shown(model);
  expect(model.saved).toBe(0);
  store.select({ layer: 1, heads: [2], query: 3, view: "matrix", theme: "dark" });
  expect(model.values).toMatchObject({ layer: 1, heads: [2], query: 3, view: "matrix", theme: "dark" });
  await settled();
  expect([model.saved, heard]).toEqual([1, [1]]);
});

it("follows the notebook, and puts right what it cannot show", async () => {
  const model = new Model();
  const { store } = shown(model);
  model.set("query", 5);
  model.set("heads", [1]);
  await settled();
  expect(store.selection).toMatchObject({ query: 5, heads: [1] });
  model.set("layer", 1);
  await settled();
  expect(store.selection).toMatchObject({ layer: 1, query: null, heads: [1] });
  expect(model.values).toMatchObject({ layer: 1, query: null, heads: [1] });
  model.set("view", "nonsense");
  await settled();
  expect(model.values["view"]).toBe("head");
});

it("keeps two views of one widget the same", async () => {
  const model = new Model();
  const [one, other] = [shown(model), shown(model)];
  one.store.select({ layer: 1, heads: [2], query: 3, key: 0 });
  await settled();
  expect(other.store.selection).toEqual(one.store.selection);
  expect(model.values).toMatchObject({ layer: 1, heads: [2], query: 3, key: 0 });
  other.store.select({ layer: 0, heads: [0], query: 5, key: null });
  await settled();
  expect(model.saved).toBe(2);
  expect(one.store.selection).toEqual(other.store.selection);
  expect(model.values).toMatchObject({ layer: 0, heads: [0], query: 5, key: null });
});

it("is quiet once it has ended", async () => {
  const model = new Model();
  const { store, end } = shown(model);
  model.set("heads", [1]);
  end();
  model.set("layer", 1);
  await settled();
  expect(store.selection).toMatchObject({ layer: 0, heads: [0, 1] });
  store.select({ query: 2 });
  expect(model.values["query"]).toBeNull();
  expect([...model.listeners.values()].every((listeners) => listeners.size === 0)).toBe(true);
});
