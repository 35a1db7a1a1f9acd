import { expect, it } from "vitest";
import { discount } from "../../src/data/discount";
import { discountedKeys, hasPairs, listedPositions, sinkOf } from "../../src/data/filters";
import { formatWeight } from "../../src/data/format";
import { matchingPositions } from "../../src/data/search";
import { labelOf, shortened, visible } from "../../src/data/tokens";
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
  expect(listedPositions(axisInfo(2), 0, { ...plain, pair: "AB" }, "key")).toEqual([0, 1]);
});

it("discounts only what is asked for", () => {
  expect(discountedKeys(pair, 0, plain)).toEqual([]);
  expect(discountedKeys(axisInfo(3, { special: [[0, 1, 0]] }), 0, { ...plain, special: "discount", sink: "discount" })).toEqual([0, 1]);
});

it("keeps the sum of a row whose keys are discounted, and leaves nothing where nothing else is", () => {
  const values = Float32Array.from([0.5, 0.25, 0.25, 1, 0, 0]);
  discount(values, 3, [0]);
  expect([...values]).toEqual([0, 0.5, 0.5, 0, 0, 0]);
});

it("writes weights without made-up digits", () => {
  expect([0.12345, 0, 0.00001, 1, NaN].map((weight) => formatWeight(weight, 3))).toEqual(["0.123", "0.000", "<0.001", "1.000", "NaN"]);
});

it("makes hostile and long labels harmless to read", () => {
  expect(visible("a\u0000b\u202ec\n")).toBe("a␀b�c␊");
  expect(visible("")).toBe("∅");
  expect(shortened("👩‍👩‍👧abc", 2)).toBe("👩‍👩‍👧…");
  expect(shortened("x".repeat(10_000), 5)).toBe("xxxx…");
  expect(labelOf(axisInfo(5, { kind: "patch", grid: [2, 2], labels: [["0", "1", "2", "3", "4"]] }), 0, 4)).toBe("r2 c2");
});

it("finds tokens by label or spelling", () => {
  const axis = axisInfo(2, { labels: [["The", "cat"]], raw: [["ĠThe", "##cat"]] });
  expect(matchingPositions(axis, 0, "the")).toEqual([0]);
  expect(matchingPositions(axis, 0, "##")).toEqual([1]);
  expect(matchingPositions(axis, 0, " ")).toEqual([]);
});
