import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { firstSelection } from "../../src/state/first";
import { legal } from "../../src/state/legal";
import { VIEW_NAMES, type Selection } from "../../src/state/selection";
import { Store } from "../../src/state/store";
import { fromFragment, toFragment } from "../../src/state/url";
import { axisInfo, layerInfo, traceInfo } from "../helpers/traces";

const trace = traceInfo(axisInfo(6), [layerInfo(6, 6), layerInfo(6, 6, { index: 1, heads: [0, 1, 2] })]);
const first = firstSelection(trace);
const position = fc.option(fc.integer({ min: 0, max: 5 }));

const selections = fc
  .record({
    view: fc.constantFrom(...VIEW_NAMES),
    layer: fc.integer({ min: 0, max: 1 }),
    heads: fc.subarray([0, 1, 2], { minLength: 1 }),
    query: position,
    key: position,
    meanHeads: fc.boolean(),
    special: fc.constantFrom("show", "discount", "hide"),
    threshold: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
    shown: fc.option(fc.integer({ min: 0, max: 2 })),
    window: fc.option(fc.constantFrom([0, 3, 1, 6], [2, 4, 0, 1])),
    order: fc.constantFrom("number", "maxWeight"),
    modelScale: fc.constantFrom("root", "linear", "log"),
    ranked: fc.boolean(),
    descending: fc.boolean(),
    only: fc.boolean(),
    sort: fc.constantFrom("position", "query", "key"),
    search: fc.string({ unit: "binary" }).map((text) => text.toWellFormed()),
    pattern: fc.string(),
  })
  .map((changes) => legal({ ...first, ...changes } as Selection, trace));

describe("the selection in a link", () => {
  it("comes back as it was", () => {
    fc.assert(
      fc.property(selections, (selection) => {
        expect({ ...first, ...fromFragment(toFragment(selection, trace), trace) }).toEqual(selection);
      }),
    );
  });

  it("is empty where nothing was changed", () => {
    expect(toFragment(first, trace)).toBe("");
  });

  it("puts right or ignores what makes no sense", () => {
    const hostile = "#view=<script>&layer=99&heads=7,8&query=-1&threshold=x&theme=dark&__proto__=1&meanHeads=maybe";
    expect(fromFragment(hostile, trace)).toEqual({ layer: 1, heads: [0, 1, 2], theme: "dark" });
    for (const window of ["3,1,0,2", "0,7,0,2", "0,2,0", "0,2,0,2,4", "-1,2,0,2"]) {
      expect(fromFragment(`#window=${window}`, trace).window ?? null).toBe(null);
    }
    expect(fromFragment("#heads=1,2&shown=0", trace).shown).toBe(null);
    fc.assert(fc.property(fc.string(), (text) => void new Store(trace, { ...first, ...fromFragment(text, trace) })));
  });
});

it("tells listeners of changes only, and never of what the trace does not have", () => {
  const store = new Store(trace, first);
  const seen: number[] = [];
  const stop = store.onSelection((selection) => seen.push(selection.layer));
  store.select({ layer: 1 });
  store.select({ layer: 1 });
  store.select({ layer: 50 });
  stop();
  store.select({ layer: 0 });
  expect(seen).toEqual([1]);
});
