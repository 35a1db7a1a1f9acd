import { describe, expect, it } from "vitest";
import { activeFilters } from "../../src/shell/active-filters";
import { chooseHead, nextToggle, shownHeads } from "../../src/shell/head-choice";
import { keyOf } from "../../src/shell/keys";
import { groupOf, groupTitle, lengthOf, sameDepth, sizeOf, stepLayer } from "../../src/shell/layers";
import { nextMatch } from "../../src/shell/matches";
import { countText } from "../../src/shell/search-control";
import { relevantControls } from "../../src/shell/relevant";
import { isDark, nextTheme } from "../../src/shell/theme";
import { firstSelection } from "../../src/state/first";
import { axisInfo, layerInfo, traceInfo } from "../helpers/traces";

describe("heads", () => {
  it("takes one head alone, or adds it and takes it away with Shift", () => {
    expect(chooseHead([0, 1, 2], 1, false)).toEqual([1]);
    expect(chooseHead([0, 2], 1, true)).toEqual([0, 2, 1]);
    expect(chooseHead([0, 1], 1, true)).toEqual([0]);
  });

  it("never leaves no head", () => {
    expect(chooseHead([3], 3, true)).toEqual([3]);
  });

  it("shows one in the neuron view", () => {
    expect(shownHeads({ view: "neuron", heads: [2, 5] })).toEqual([2]);
    expect(shownHeads({ view: "matrix", heads: [2, 5] })).toEqual([2, 5]);
  });

  it("goes round with the arrow keys", () => {
    expect(nextToggle("ArrowRight", 2, 3)).toBe(0);
    expect(nextToggle("ArrowLeft", 0, 3)).toBe(2);
    expect(nextToggle("End", 0, 3)).toBe(2);
    expect(nextToggle("x", 0, 3)).toBeNull();
  });
});

describe("layers", () => {
  const layers = [0, 1, 2, 3, 4].map(() => layerInfo(3, 3));
  const groups = [
    { name: "encoder", layers: [0, 1] },
    { name: "decoder", layers: [2, 4] },
    { name: "cross", layers: [3] },
  ];
  const trace = { ...traceInfo(axisInfo(3), layers), groups };

  it("steps within the group and stops at its ends", () => {
    expect(stepLayer(trace, 2, 1)).toBe(4);
    expect(stepLayer(trace, 4, 1)).toBe(4);
    expect(stepLayer(trace, 0, -1)).toBe(0);
  });

  it("keeps the depth when the group changes, as far as the group goes", () => {
    expect(groupOf(trace, 4).name).toBe("decoder");
    expect(sameDepth(trace, 1, groups[1]!)).toBe(4);
    expect(sameDepth(trace, 1, groups[2]!)).toBe(3);
  });

  it("says sizes in words", () => {
    const heads = layerInfo(3, 3).heads.length;
    expect(sizeOf(trace)).toBe(`5 layers × ${heads} heads`);
    const uneven = [layerInfo(3, 3, { heads: [0] }), layerInfo(3, 3, { heads: [0, 1] })];
    expect(sizeOf(traceInfo(axisInfo(3), uneven))).toBe("2 layers");
    expect(lengthOf({ ...axisInfo(1), kind: "text" })).toBe("1 token");
    expect(lengthOf({ ...axisInfo(2), kind: "patch" })).toBe("2 patches");
    expect(groupTitle("cross")).toBe("Cross");
  });
});

describe("search", () => {
  const matches = [3, 7, 9].map((position) => ({ side: "query" as const, position }));

  it("goes from match to match, round the ends, and starts at the near end", () => {
    expect(nextMatch(matches, matches[2]!, 1)).toEqual(matches[0]);
    expect(nextMatch(matches, matches[0]!, -1)).toEqual(matches[2]);
    expect(nextMatch(matches, null, 1)).toEqual(matches[0]);
    expect(nextMatch(matches, null, -1)).toEqual(matches[2]);
    expect(nextMatch([], null, 1)).toBeNull();
  });

  it("counts them", () => {
    expect(countText(matches, matches[1]!)).toBe("2 / 3");
    expect(countText(matches, { side: "key", position: 7 })).toBe("3");
    expect(countText([], null)).toBe("none");
  });
});

describe("controls", () => {
  const plain = traceInfo(axisInfo(3), [layerInfo(3, 3), layerInfo(3, 3)]);
  const first = firstSelection(plain);

  it("names the filters at work and how each is undone", () => {
    expect(activeFilters(first)).toEqual([]);
    const active = activeFilters({ ...first, special: "hide", sink: "discount", pair: "AB", meanLayers: true });
    expect(active.map((filter) => filter.text)).toEqual(["Mean of all layers", "Special tokens hidden", "Sink discounted", "A→B"]);
    const undone = Object.assign({}, ...active.map((filter) => filter.without));
    expect(undone).toEqual({ meanLayers: false, special: "show", sink: "show", pair: "all" });
    expect(activeFilters({ ...first, pair: "AB" }, false)).toEqual([]);
  });

  it("shows what means something for the view", () => {
    const shown = (view: typeof first.view) => relevantControls({ ...first, view }, plain, plain.layers[0]!);
    expect(shown("head")).toMatchObject({ layers: true, heads: true, threshold: true, scale: false, meanHeads: true });
    expect(shown("model")).toMatchObject({ layers: false, heads: false, threshold: false, scale: false, meanLayers: false });
    expect(shown("neuron")).toMatchObject({ layers: true, heads: true, severalHeads: false, sink: false, meanHeads: false });
    expect(shown("matrix")).toMatchObject({ layers: true, scale: true, threshold: false });
  });

  it("shows sentence pairs only where there are two sentences", () => {
    const layer = plain.layers[0]!;
    const withSegments = (segments: number[]) => {
      const axis = axisInfo(3, { segments: [segments], special: [[1, 0, 0]] });
      return { ...plain, axes: { ...plain.axes, [layer.queryAxis]: axis, [layer.keyAxis]: axis } };
    };
    expect(relevantControls(first, withSegments([0, 0, 1]), layer)).toMatchObject({ pairs: true, special: true });
    expect(relevantControls(first, withSegments([0, 0, 0]), layer).pairs).toBe(false);
    const oneSided = { ...withSegments([0, 0, 1]), axes: { ...withSegments([0, 0, 1]).axes, other: axisInfo(3) } };
    expect(relevantControls(first, oneSided, { ...layer, queryAxis: "other" }).pairs).toBe(false);
    expect(relevantControls(first, plain, layer)).toMatchObject({ groups: false, pairs: false });
  });
});

describe("keys and theme", () => {
  const press = (key: string, held = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, ...held });

  it("leaves keys with Ctrl to the browser, but takes brackets written with AltGr", () => {
    expect(keyOf(press("A"), false)).toBe("a");
    expect(keyOf(press("a", { ctrlKey: true }), false)).toBeNull();
    expect(keyOf(press("[", { ctrlKey: true, altKey: true }), true)).toBe("[");
    expect(keyOf(press("Escape"), false)).toBe("Escape");
  });

  it("follows the system unless told otherwise", () => {
    expect([isDark("auto", true), isDark("auto", false), isDark("light", true), isDark("dark", false)]).toEqual([true, false, false, true]);
    expect(nextTheme(nextTheme(nextTheme("auto")))).toBe("auto");
  });
});
