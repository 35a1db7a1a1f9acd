import { expect, it } from "vitest";
import { precisionText } from "../../src/data/precision";

it("says down to which weight a file is as exact as it says", () => {
  const about = { top: null, decimals: 3 };
  expect(precisionText({ ...about, kind: "float16", sentence: "float16: each weight within 0.05 %" })).toBe("float16: each weight within 0.05 % down to 0.000061");
  expect(precisionText({ ...about, kind: "log8", sentence: "each weight within 2.2 %", least: 1.56e-5 })).toBe("each weight within 2.2 % down to 0.000016");
  expect(precisionText({ ...about, kind: "exact", sentence: "exact: float32 as captured", least: 0 })).toBe("exact: float32 as captured");
  expect(precisionText({ ...about, kind: "float16", sentence: "" })).toBe("");
});
