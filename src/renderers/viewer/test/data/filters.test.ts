import { expect, it } from "vitest";
import { discountedKeys, hasPairs, listedPositions, sinkOf } from "../../src/data/filters";
import { formatPercent } from "../../src/data/format";
import { matchingPositions } from "../../src/data/search";
import { axisInfo } from "../helpers/traces";

const plain = { special: "show", sink: "show", pair: "all" } as const;
const pair = axisInfo(5, { padding: [[1, 0, 0, 0, 0]], special: [[0, 1, 0, 0, 0]], segments: [[0, 0, 0, 1, 1]] });

it("never lists padding, and finds the first token behind it", () => {
  expect(listedPositions(pair, 0, plain, "key")).toEqual([1, 2, 3, 4]);
  expect(sinkOf(pair, 0)).toBe(1);
});

it("filters sentence pairs from query to key", () => {
  expect(hasPairs(pair, 0)).toBe(true);
  expect(listedPositions(pair, 0, { ...plain, pair: "AB" }, "query")).toEqual([1, 2]);
  expect(listedPositions(pair, 0, { ...plain, pair: "AB" }, "key")).toEqual([3, 4]);
  expect(hasPairs(axisInfo(2), 0)).toBe(false);
  expect(hasPairs(axisInfo(2, { segments: [[0, 0]] }), 0)).toBe(false);
});

it("discounts only what is asked for", () => {
  expect(discountedKeys(pair, 0, plain)).toEqual([]);
  expect(discountedKeys(axisInfo(3, { special: [[0, 1, 0]] }), 0, { ...plain, special: "discount", sink: "discount" })).toEqual([0, 1]);
});

it("writes shares that are neither all nor nothing as such", () => {
  const shares = [0, 0.0004, 0.0123, 0.5, 0.994, 0.9999, 1, null, NaN];
  const texts = ["0.0 %", "< 0.1 %", "1.2 %", "50 %", "99.4 %", "> 99.9 %", "100 %", "–", "–"];
  expect(shares.map(formatPercent)).toEqual(texts);
});

it("finds tokens by label or spelling", () => {
  const axis = axisInfo(2, { labels: [["The", "cat"]], raw: [["ĠThe", "##cat"]] });
  expect(matchingPositions(axis, 0, "the")).toEqual([0]);
  expect(matchingPositions(axis, 0, "##")).toEqual([1]);
  expect(matchingPositions(axis, 0, " ")).toEqual([]);
});
