import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { automaticThreshold, countAbove, LEVEL_COUNTS, levelsOf, Threshold, thresholdFor } from "../../src/data/threshold";
import { firstSelection } from "../../src/state/first";
import { Store } from "../../src/state/store";
import type { StatisticsInfo } from "../../src/source/trace-info";
import { axisInfo, layerInfo, traceInfo } from "../helpers/traces";

const levels = fc.array(fc.double({ min: 1e-5, max: 1, noNaN: true }), { minLength: 6, maxLength: 6 }).map((list) => list.sort((left, right) => right - left));

const sharp = (heads: number): StatisticsInfo => ({ levels: Array.from({ length: heads }, () => [0.95, 0.9, 0.8, 0.2, 0.05, 0.01]) }) as unknown as StatisticsInfo;

describe("the automatic threshold", () => {
  it("knows the counts that it was given, and counts fewer the higher it is", () => {
    const known = [0.9, 0.8, 0.5, 0.2, 0.05, 0.01];
    known.forEach((level, place) => expect(countAbove(known, level)).toBeCloseTo(LEVEL_COUNTS[place]!, 6));
    expect(countAbove(known, 0.95)).toBe(0);
    fc.assert(fc.property(levels, fc.double({ min: 1e-6, max: 1, noNaN: true }), fc.double({ min: 1, max: 2, noNaN: true }), (some, at, times) => {
      expect(countAbove(some, at * times)).toBeLessThanOrEqual(countAbove(some, at));
    }));
  });

  it("leaves no more lines than asked for, and always the strongest", () => {
    fc.assert(fc.property(fc.array(levels, { minLength: 1, maxLength: 12 }), fc.double({ min: 0.5, max: 20, noNaN: true }), (series, lines) => {
      const threshold = thresholdFor(series, lines);
      expect(series.some((some) => some[0]! >= threshold * 0.94)).toBe(true);
      if (threshold > 0.021) expect(series.reduce((sum, some) => sum + countAbove(some, threshold * 1.06), 0)).toBeLessThanOrEqual(Math.max(lines, 0.25 * 12) + 1e-6);
    }));
  });

  it("shows lines where every weight is small, and few where there are many heads", () => {
    const flat = { levels: [[0.02, 0.018, 0.016, 0.014, 0.012, 0.01]] } as unknown as StatisticsInfo;
    const long = layerInfo(1024, 1024, { statistics: [flat], heads: [0] });
    const trace = traceInfo(axisInfo(1024), [long]);
    expect(automaticThreshold(firstSelection(trace), long)).toBeLessThan(0.018);
    const short = layerInfo(12, 12, { statistics: [sharp(12)], heads: Array.from({ length: 12 }, (_, head) => head) });
    const [all, one] = [12, 1].map((count) => automaticThreshold({ ...firstSelection(traceInfo(axisInfo(12), [short])), heads: Array.from({ length: count }, (_, head) => head) }, short));
    expect(one).toBe(0.02);
    expect(all).toBeGreaterThan(0.2);
  });

  it("gives way to a chosen one", () => {
    const layer = layerInfo(3, 3);
    const selection = firstSelection(traceInfo(axisInfo(3), [layer]));
    expect(selection.threshold).toBe(null);
    const store = new Store(traceInfo(axisInfo(3), [layer]), selection);
    const threshold = new Threshold(store, () => 3);
    expect(threshold.get()).toBe(0.02);
    store.select({ threshold: 0 });
    expect(threshold.get()).toBe(0);
  });

  it("is of the weights that a filter leaves, and of no others", () => {
    const layer = layerInfo(24, 24, { statistics: [sharp(2)] });
    const trace = traceInfo(axisInfo(24), [layer, layer]);
    const store = new Store(trace, firstSelection(trace));
    const threshold = new Threshold(store, () => 24);
    const whole = threshold.get();
    let told = 0;
    threshold.onMeasured(() => (told += 1));
    expect(threshold.isUnknown()).toBe(false);
    for (const filter of [{ special: "hide" }, { sink: "discount" }, { pair: "BA" }, { meanLayers: true }] as const) {
      store.select({ special: "show", sink: "show", pair: "all", meanLayers: false });
      store.select(filter);
      expect(threshold.isUnknown()).toBe(true);
      threshold.measure([levelsOf(Float32Array.from({ length: 48 }, (_, place) => 0.21 - place / 1000), 24)]);
      expect(threshold.isUnknown()).toBe(false);
      expect(threshold.get()).toBeLessThanOrEqual(0.21);
    }
    expect(told).toBe(4);
    store.select({ meanLayers: false });
    expect(threshold.get()).toBe(whole);
  });

  it("leaves more lines where padding or a filter leaves few rows", () => {
    const layer = layerInfo(24, 24, { statistics: [sharp(12)], heads: Array.from({ length: 12 }, (_, head) => head) });
    const selection = firstSelection(traceInfo(axisInfo(24), [layer]));
    expect(automaticThreshold(selection, layer, 5)).toBeLessThan(automaticThreshold(selection, layer));
  });

  it("is never above everything, by rounding either", () => {
    expect(thresholdFor([[0.2151, 0.2151, 0.2151, 0.2151, 0.2151, 0.2151]], 1)).toBeLessThanOrEqual(0.2151);
  });

  it("reads levels off single weights", () => {
    expect(levelsOf(Float32Array.from([0.5, 0.25, 1, 0.125, 0, 0, 0, 0]), 4)).toEqual([1, 0.5, 0.125, 0, 0, 0]);
  });
});
