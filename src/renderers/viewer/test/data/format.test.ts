import fc from "fast-check";
import { expect, it } from "vitest";
import { grouped } from "../../src/data/format";

it("puts thousands apart as the browser's own formatter does", () => {
  fc.assert(fc.property(fc.nat(), (count) => grouped(count) === count.toLocaleString("en")));
  expect([0, 999, 1000, 1_048_576].map(grouped)).toEqual(["0", "999", "1,000", "1,048,576"]);
});
