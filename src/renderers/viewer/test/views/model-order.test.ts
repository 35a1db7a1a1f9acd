import { expect, it } from "vitest";
import type { StatisticsInfo } from "../../src/source/trace-info";
import { thumbnailShare } from "../../src/draw/thumbnails";
import { gridLines, rankedCount } from "../../src/views/model-lines";
import { matchesPattern, orderedHeads, patternCounts, rankedHeads } from "../../src/views/model-order";
import { cellName, layerName, legendTicks, shortLayerName, weightTicks } from "../../src/views/model-words";
import { axisInfo, layerInfo, traceInfo } from "../helpers/traces";

const none = [null, null, null];
const figures: StatisticsInfo = {
  entropy: [1, null, 3], normalisedEntropy: none, distance: [5, 4, 0.25], maxWeight: [0.5, 0.25, 1], selfMass: none, previousMass: none,
  nextMass: none, firstMass: none, specialMass: none, separatorMass: none, pattern: ["mixed", "previous token", "mixed"],
  patternShare: [0.2, 0.9, 0.7], rowStep: 1,
};
const layer = layerInfo(4, 4, { heads: [0, 3, 7], statistics: [figures] });

it("orders heads by a figure, the smallest first and those without it last", () => {
  expect(orderedHeads(layer, 0, "number")).toEqual([0, 1, 2]);
  expect(orderedHeads(layer, 0, "entropy")).toEqual([0, 2, 1]);
  expect(orderedHeads(layer, 0, "distance")).toEqual([2, 1, 0]);
});

it("puts heads of a pattern together, the strongest first and what says least last", () => {
  expect(orderedHeads(layer, 0, "pattern")).toEqual([1, 2, 0]);
});

it("keeps the order of numbers where there are no figures", () => {
  expect(orderedHeads(layer, 5, "entropy")).toEqual([0, 1, 2]);
});

it("counts the patterns and filters by them", () => {
  expect(patternCounts([layer, layer], 0)).toEqual([["mixed", 4], ["previous token", 2]]);
  expect([0, 1, 2].filter((head) => matchesPattern(layer, 0, head, "mixed"))).toEqual([0, 2]);
  expect(matchesPattern(layer, 0, 1, "")).toBe(true);
});

const trace = { ...traceInfo(axisInfo(4), [layer, { ...layer, index: 1, statistics: [{ ...figures, entropy: [0.5, 2, 4] }] }]) };

it("ranks the heads of all layers in one order, both ways, and those without a figure last", () => {
  const rank = (descending: boolean): string[] =>
    rankedHeads(trace, [0, 1], 0, "entropy", descending).map(({ layer: place, head }) => `${place}.${head}`);
  expect(rank(false)).toEqual(["1.0", "0.0", "1.1", "0.2", "1.2", "0.1"]);
  expect(rank(true)).toEqual(["1.2", "0.2", "1.1", "0.0", "1.0", "0.1"]);
});

it("turns the order within a layer around too", () => {
  expect(orderedHeads(layer, 0, "maxWeight", true)).toEqual([2, 0, 1]);
  expect(orderedHeads(layer, 0, "entropy", true)).toEqual([2, 0, 1]);
});

const choice = { layer: 0, item: 0, order: "entropy", descending: false, ranked: true, pattern: "", only: false } as const;

it("makes a ranked list of rows of so many heads, each with its name and figure", () => {
  const lines = gridLines(trace, choice, 4);
  expect(lines.map((line) => [line.name, line.cells.length])).toEqual([["1", 4], ["5", 2]]);
  expect(lines[0]?.cells.map(({ name, figure }) => `${name} ${figure}`)).toEqual(["1.0 0.50", "0.0 1.00", "1.3 2.00", "0.7 3.00"]);
  expect(rankedCount(trace, choice)).toBe(6);
});

it("leaves out, or dims, heads that have not the pattern asked for", () => {
  const wanted = { ...choice, pattern: "mixed" };
  expect(gridLines(trace, wanted, 9)[0]?.cells.filter(({ dimmed }) => dimmed).length).toBe(2);
  expect(rankedCount(trace, { ...wanted, only: true })).toBe(4);
  const byLayer = gridLines(trace, { ...wanted, only: true, ranked: false, order: "number" }, 9);
  expect(byLayer.map((line) => line.cells.map(({ name }) => name))).toEqual([["0", "7"], ["0", "7"]]);
  expect(gridLines(trace, { ...wanted, pattern: "next token", only: true, ranked: false }, 9)).toEqual([]);
});

it("names layers by their group where there are several, and by their number else", () => {
  const groups = [{ name: "decoder", layers: [0] }, { name: "cross", layers: [1] }];
  expect([0, 1].map((place) => layerName(trace, place))).toEqual(["Layer 0", "Layer 1"]);
  expect([0, 1].map((place) => layerName({ ...trace, groups }, place))).toEqual(["Decoder 0", "Cross 0"]);
  expect(shortLayerName({ ...trace, groups }, 1)).toBe("0");
});

it("names layers by their number in the run where some of the run are not held, as nobody can count a group's then", () => {
  const groups = [{ name: "decoder", layers: [0] }, { name: "cross", layers: [1] }];
  const some = { ...trace, groups, layers: trace.layers.map((one, place) => ({ ...one, index: 10 * place + 7 })) };
  expect([0, 1].map((place) => layerName(some, place))).toEqual(["Layer 7", "Layer 17"]);
  expect(shortLayerName(some, 1)).toBe("17");
});

it("uses the model's own head numbers in words", () => {
  expect(cellName(trace, 0, 0, 2)).toBe("Layer 0, head 7: Pattern mixed 70 %, Entropy 3.00 bits, Mean distance 0.3 tokens, Mean maximum 1.00");
});

it("counts a distance in what the axis counts, and patches as positions", () => {
  const along = (kind: "patch" | "frame" | "position"): string => cellName({ ...trace, axes: { tokens: axisInfo(4, { kind }) } }, 0, 0, 2);
  expect(along("patch")).toContain("Mean distance 0.3 positions");
  expect(along("frame")).toContain("Mean distance 0.3 frames");
  expect(along("position")).toContain("Mean distance 0.3 positions");
});

it("says on the logarithmic legend that colours go down four powers of ten", () => {
  expect(legendTicks("log").map(({ text }) => text)).toEqual(["0.01 %", "0.1 %", "1 %", "10 %", "100 %"]);
  expect(legendTicks("linear").map(({ share }) => share)).toEqual([0, 0.5, 1]);
  expect(legendTicks("root").map(({ share, text }) => `${share.toFixed(3)} ${text}`)).toEqual(["0.000 0 %", "0.316 10 %", "0.548 30 %", "1.000 100 %"]);
});

it("puts a head's weights where their colours are", () => {
  for (const scale of ["root", "linear", "log"] as const) {
    for (const { share, text } of weightTicks(scale, 0.8, String)) {
      if (share > 0) expect(thumbnailShare(Number(text), { scale, max: 0.8 })).toBeCloseTo(share, 6);
    }
  }
  expect(weightTicks("root", 0.978, (weight) => weight.toFixed(3)).map(({ text }) => text)).toEqual(["0", "0.1", "0.3", "0.978"]);
});
