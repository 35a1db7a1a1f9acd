import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { fileName, pixelScale } from "../../src/shell/export-file";
import { boundText, formatWeight, placeOfThreshold, thresholdAt } from "../../src/shell/numbers";
import { beside } from "../../src/shell/placement";
import { largest, meanOf } from "../../src/shell/ranking";

const FLOAT16 = { decimals: 3, significant: 3 };
const LOG8 = { decimals: 2, significant: 2, least: 2 ** ((-253.5 * 16) / 254) };

describe("weights as text", () => {
  it("shows the decimals that the source is good for", () => {
    expect(formatWeight(0.12345, { decimals: 3 })).toBe("0.123");
    expect(formatWeight(0, { decimals: 3 })).toBe("0");
    expect(formatWeight(-0.5, { decimals: 2 })).toBe("−0.50");
  });

  it("shows more of small weights where they are known better", () => {
    expect(formatWeight(0.0034, LOG8)).toBe("0.0034");
    expect(formatWeight(0.34, LOG8)).toBe("0.34");
    expect(formatWeight(0.000012345, FLOAT16)).toBe("0.000012");
  });

  it("never shows something as nothing", () => {
    expect(formatWeight(1e-9, FLOAT16)).toBe("< 0.000001");
    expect(formatWeight(2 ** -20, LOG8)).toBe("< 0.000016");
    expect(formatWeight(Number.NaN, FLOAT16)).toBe("not a number");
    expect(formatWeight(Number.POSITIVE_INFINITY, FLOAT16)).toBe("∞");
  });

  it("says of a weight that is not in the file what it is below, and never 0", () => {
    expect(formatWeight(Number.NaN, LOG8, 0.00223)).toBe("not in this file (< 0.0023)");
    expect(formatWeight(Number.NaN, LOG8, 0.5)).toBe("not in this file (< 0.5)");
    expect(formatWeight(0, LOG8, LOG8.least)).toBe("< 0.000016");
    expect(formatWeight(0.012, LOG8, 0.0134)).toBe("≥ 0.012");
    expect(formatWeight(0.012, LOG8, 0.0121)).toBe("0.012");
    fc.assert(
      fc.property(fc.double({ min: 1e-7, max: 1, noNaN: true }), (bound) => {
        expect(Number(boundText(bound))).toBeGreaterThanOrEqual(bound * (1 - 1e-9));
        expect(Number(boundText(bound))).toBeLessThan(1.11 * bound + 1e-6);
      }),
    );
  });
});

describe("the threshold's slider", () => {
  it("gives back the place it was put at, and reaches both ends", () => {
    for (let place = 0; place <= 100; place += 1) expect(placeOfThreshold(thresholdAt(place))).toBe(place);
    expect(thresholdAt(0)).toBe(0);
    expect(thresholdAt(100)).toBe(1);
  });
});

describe("ranking", () => {
  it("puts the largest listed weights first and leaves out nothing but nothing", () => {
    const row = Float32Array.from([0.25, 0, 0.5, 0.25, Number.NaN]);
    expect(largest(row, [0, 1, 2, 3, 4], 9).map((entry) => entry.position)).toEqual([2, 0, 3]);
    expect(largest(row, [0, 3], 1).map((entry) => entry.position)).toEqual([0]);
  });

  it("averages rows", () => {
    const row = (...weights: number[]) => ({ values: Float32Array.from(weights), most: Float32Array.from(weights) });
    expect([...meanOf([row(1, 0), row(0.5, 0.25)]).values]).toEqual([0.75, 0.125]);
    expect([...meanOf([]).values]).toEqual([]);
    // One of the rows does not hold its second weight: the mean is at least what is held, and at most the bound allows.
    const lacking = { values: Float32Array.from([0.5, Number.NaN]), most: Float32Array.from([0.5, 0.125]) };
    const { values, most } = meanOf([row(1, 0.25), lacking]);
    expect([[...values], [...most]]).toEqual([[0.75, 0.125], [0.75, 0.1875]]);
    expect(meanOf([lacking, lacking]).values[1]).toBeNaN();
  });
});

describe("the tooltip's place", () => {
  const bounds = { left: 0, top: 0, right: 600, bottom: 400 };

  it("is right below the pointer when there is room", () => {
    expect(beside({ x: 100, y: 100 }, { width: 80, height: 40 }, bounds)).toEqual({ left: 114, top: 114 });
  });

  it("is inside the bounds and never under the pointer, wherever that is", () => {
    const size = fc.record({ width: fc.integer({ min: 10, max: 320 }), height: fc.integer({ min: 10, max: 180 }) });
    const pointer = fc.record({ x: fc.integer({ min: 0, max: 600 }), y: fc.integer({ min: 0, max: 400 }) });
    fc.assert(
      fc.property(pointer, size, (at, box) => {
        const { left, top } = beside(at, box, bounds);
        expect(left).toBeGreaterThanOrEqual(0);
        expect(top).toBeGreaterThanOrEqual(0);
        expect(left + box.width).toBeLessThanOrEqual(600);
        expect(top + box.height).toBeLessThanOrEqual(400);
        const under = at.x >= left && at.x <= left + box.width && at.y >= top && at.y <= top + box.height;
        expect(under).toBe(false);
      }),
    );
  });
});

describe("exported files", () => {
  it("have names that every file system takes", () => {
    expect(fileName(["BertModel", "head", "layer-3"], "svg")).toBe("BertModel-head-layer-3.svg");
    expect(fileName(["../../etc/pass wd\u0000", "", "model"], "png")).toBe("etc-pass-wd-model.png");
    expect(fileName(["", "///"], "png")).toBe("attention.png");
    expect(fileName(["模型"], "svg")).toBe("模型.svg");
  });

  it("have twice the pixels, or as many as a canvas takes", () => {
    expect(pixelScale(800, 600)).toBe(2);
    expect(pixelScale(20_000, 100)).toBeCloseTo(0.8);
    const large = pixelScale(12_000, 12_000);
    expect(12_000 * 12_000 * large ** 2).toBeLessThanOrEqual(100_000_001);
  });
});
