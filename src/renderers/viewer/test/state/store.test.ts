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
