import { expect, it } from "vitest";
import { firstSelection } from "../../src/state/first";
import { Store } from "../../src/state/store";
import { axisInfo, layerInfo, traceInfo } from "../helpers/traces";

const trace = traceInfo(axisInfo(4), [layerInfo(4, 4), layerInfo(4, 4)]);

it("tells a listener what changed, and nothing when nothing did", () => {
  const store = new Store(trace, firstSelection(trace));
  const heard: number[] = [];
  const stop = store.onSelection((next, before) => heard.push(before.layer, next.layer));
  store.select({ layer: 1 });
  store.select({ layer: 1 });
  store.select({ layer: 99 });
  stop();
  store.select({ layer: 0 });
  expect(heard).toEqual([0, 1]);
});

it("does not call a listener that another one has stopped meanwhile", () => {
  const store = new Store(trace, firstSelection(trace));
  const called: string[] = [];
  store.onSelection(() => stopView());
  const stopView = store.onSelection(() => called.push("view"));
  store.onFocus(() => stopFocus());
  const stopFocus = store.onFocus(() => called.push("focus"));
  store.select({ view: "matrix" });
  store.point({ query: 1 });
  expect(called).toEqual([]);
});

it("keeps all heads all in a layer that has more of them, and a choice of some as it is", () => {
  const heads = (count: number): number[] => Array.from({ length: count }, (_, head) => head);
  const uneven = traceInfo(axisInfo(4), [layerInfo(4, 4, { heads: heads(2) }), layerInfo(4, 4, { heads: heads(5) }), layerInfo(4, 4, { heads: heads(3) })]);
  const store = new Store(uneven, firstSelection(uneven));
  for (const [layer, expected] of [[1, 5], [2, 3], [0, 2], [1, 5]] as const) {
    store.select({ layer });
    expect(store.selection.heads).toEqual(heads(expected));
  }
  store.select({ heads: [0, 1] });
  store.select({ layer: 2 });
  expect(store.selection.heads).toEqual([0, 1]);
  store.select({ layer: 0 });
  store.select({ layer: 1, heads: [0, 1] });
  expect(store.selection.heads).toEqual([0, 1]);
});
