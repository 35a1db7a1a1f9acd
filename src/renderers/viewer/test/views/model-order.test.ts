import { expect, it } from "vitest";
import type { StatisticsInfo } from "../../src/source/trace-info";
import { matchesPattern, orderedHeads, patternCounts, shortNames } from "../../src/views/model-order";
import { cellName, legendTicks } from "../../src/views/model-words";
import { layerInfo } from "../helpers/traces";

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

it("shortens layer names by what all of them share", () => {
  expect(shortNames(["encoder.layer.0.attention", "encoder.layer.11.attention"])).toEqual(["0", "11"]);
  expect(shortNames(["a.x", "a.x.x"])).toEqual(["", "x"]);
  expect(shortNames(["decoder.0.self", "decoder.0.cross"])).toEqual(["self", "cross"]);
  expect(shortNames(["only.one"])).toEqual(["only.one"]);
});

it("uses the model's own head numbers in words", () => {
  expect(cellName(layer, 0, 2)).toBe("Layer 0, head 7: mixed 70 %, Entropy 3.00 bits, Mean distance 0.3 tokens, Largest weight, mean 1.00");
});

it("says on the logarithmic legend that colours go down four powers of ten", () => {
  expect(legendTicks("log").map(({ text }) => text)).toEqual(["0.01 %", "0.1 %", "1 %", "10 %", "100 %"]);
  expect(legendTicks("linear").map(({ share }) => share)).toEqual([0, 0.5, 1]);
});
