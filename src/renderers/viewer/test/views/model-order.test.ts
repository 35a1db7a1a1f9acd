import { expect, it } from "vitest";
import type { StatisticsInfo } from "../../src/source/trace-info";
import { hasPattern, orderedHeads, patternsIn, thumbnailSize } from "../../src/views/model-order";
import { headSentence } from "../../src/views/model-words";
import { axisInfo, layerInfo, traceInfo } from "../helpers/traces";

const none = [null, null, null];
const figures: StatisticsInfo = {
  entropy: [1, null, 3], normalisedEntropy: none, distance: [5, 4, 0.25], maxWeight: none, selfMass: none, previousMass: none,
  nextMass: none, firstMass: none, specialMass: none, separatorMass: none, pattern: ["mixed", "broad", "mixed"],
  patternShare: [0.2, 0.9, 0.7], rowStep: 1,
};
const layer = layerInfo(4, 4, { heads: [0, 3, 7], statistics: [figures] });

it("orders heads by a figure, those without it last", () => {
  expect(orderedHeads(layer, 0, "number")).toEqual([0, 1, 2]);
  expect(orderedHeads(layer, 0, "entropy")).toEqual([2, 0, 1]);
  expect(orderedHeads(layer, 0, "distance")).toEqual([0, 1, 2]);
  expect(orderedHeads(layer, 0, "pattern")).toEqual([1, 2, 0]);
});

it("knows the patterns and filters by them", () => {
  expect(patternsIn(traceInfo(axisInfo(4), [layer]), 0)).toEqual(["broad", "mixed"]);
  expect([0, 1, 2].filter((head) => hasPattern(layer, 0, head, "mixed"))).toEqual([0, 2]);
  expect(hasPattern(layer, 0, 1, "")).toBe(true);
});

it("uses the model's own head numbers in words", () => {
  expect(headSentence(layer, 0, 2)).toMatch(/^Layer 0, head 7, Pattern mixed 70 %, Entropy 3.00 bits, Mean distance 0.3 tokens/);
});

it("makes thumbnails no wider than the room and never too small to see", () => {
  const { side, gap } = thumbnailSize(1000, 500, 12, 12);
  expect(12 * (side + gap)).toBeLessThanOrEqual(1000);
  expect(thumbnailSize(300, 300, 64, 48).side).toBe(28);
});
