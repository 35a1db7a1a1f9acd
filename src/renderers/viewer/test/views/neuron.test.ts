import { describe, expect, test } from "vitest";
import type { LayerInfo, PrecisionInfo, ScoringInfo } from "../../src/source/trace-info";
import { byContribution, keyHeadOf, robustLimit, scoreRow, softmax, type ScoreRules } from "../../src/views/neuron-arithmetic";
import { columnStarts, columnWidths, formulaOf, signed, stepsOf } from "../../src/views/neuron-columns";
import { barIn, spanOf } from "../../src/views/neuron-row";
import { judge, tolerances } from "../../src/views/neuron-verdict";
import { movedRow, revealed, rowWindow } from "../../src/views/neuron-window";
import { arithmeticNotes, defaultQuery } from "../../src/views/neuron-words";
import { layerInfo } from "../helpers/traces";

const QUERY = Float32Array.from([1.5, -0.25, 2]);
const KEYS = Float32Array.from([0.5, 1, 0.25, 2, 0, 1, -1, 3, 0.5, 0.75, -2, 1.5]);
const PLAIN: ScoreRules = { scale: 0.5, softcap: null, bias: null, allowed: null, sink: null };
const BIAS = [0, -0.5, 0.25, 0.125];
const ALLOWED = [1, 1, 0, 1];

/** What `attncore.scoring.probabilities` gives in float64 for these numbers. */
const NUMPY: readonly (readonly [string, Partial<ScoreRules>, readonly number[]])[] = [
  ["scale alone", {}, [0.06738793669819915, 0.49793324465418093, 0.02187765991925863, 0.4128011587283612]],
  ["softcap", { softcap: 2 }, [0.12764020251766753, 0.42664203800259365, 0.04268973975397075, 0.403028019725768]],
  ["bias", { bias: BIAS }, [0.0778820632636671, 0.3490431917041546, 0.032466074188821636, 0.5406086708433567]],
  ["mask", { allowed: ALLOWED }, [0.06889520250875412, 0.5090705162843718, 0, 0.422034281206874]],
  ["sink", { sink: 1 }, [0.060649535299831824, 0.4481428187045321, 0.01969002127922773, 0.37152344580949725]],
  ["everything", { softcap: 2, bias: BIAS, allowed: ALLOWED, sink: 1 }, [0.1209063313454359, 0.24511955713071024, 0, 0.432597106142355]],
];

describe("scoreRow", () => {
  test.each(NUMPY)("with %s gives numpy's weights", (_name, rules, weights) => {
    const row = scoreRow(QUERY, KEYS, { ...PLAIN, ...rules });
    weights.forEach((weight, key) => expect(row.weights[key]).toBeCloseTo(weight, 14));
    expect(row.weights.reduce((sum, weight) => sum + weight, row.sinkWeight)).toBeCloseTo(1, 14);
  });

  test("keeps every step", () => {
    const row = scoreRow(QUERY, KEYS, { ...PLAIN, softcap: 2, bias: BIAS, allowed: ALLOWED });
    expect([...row.dots]).toEqual([1, 5, -1.25, 4.625]);
    expect([...row.scaled]).toEqual([0.5, 2.5, -0.625, 2.3125]);
    expect(row.capped[1]).toBeCloseTo(2 * Math.tanh(1.25), 15);
    expect(row.scores[1]).toBeCloseTo(2 * Math.tanh(1.25) - 0.5, 15);
    expect(row.scores[2]).toBe(Number.NEGATIVE_INFINITY);
  });

  test("a fully masked row has no weights, and with a sink the sink takes all", () => {
    const none = { ...PLAIN, allowed: [0, 0, 0, 0] };
    expect([...scoreRow(QUERY, KEYS, none).weights]).toEqual([0, 0, 0, 0]);
    expect(scoreRow(QUERY, KEYS, { ...none, sink: -3 }).sinkWeight).toBe(1);
  });

  test("huge scores do not overflow", () => {
    const { weights } = softmax(Float64Array.from([5000, 5001]), null);
    expect(weights[1]).toBeCloseTo(1 / (1 + Math.exp(-1)), 14);
  });
});

test("dimensions are ordered by what they add to the dot product", () => {
  expect(byContribution(QUERY, KEYS.subarray(6, 9))).toEqual([2, 1, 0]);
});

test("the colours' limit leaves one value in a hundred out, and is never 0", () => {
  const values = Float32Array.from({ length: 1000 }, (_, place) => (place === 500 ? 400 : 1 + (place % 10) / 10));
  expect(robustLimit(values)).toBeCloseTo(1.9, 5);
  expect(robustLimit(new Float32Array(8))).toBe(1);
});

test("consecutive heads share a key head", () => {
  expect([0, 1, 2, 3, 4, 5, 6, 7].map((head) => keyHeadOf(head, 8, 2))).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
  expect([0, 1, 2].map((head) => keyHeadOf(head, 3, 3))).toEqual([0, 1, 2]);
});

const SCORING: ScoringInfo = { scale: 0.5, softcap: null, causal: false, window: null, mask: false, bias: false, biasHeld: false, sinks: null };
const EXACT: PrecisionInfo = { kind: "exact", top: null, sentence: "", decimals: 4 };

function layer(changes: Partial<LayerInfo>): LayerInfo {
  return layerInfo(4, 4, { heads: [0], scoring: SCORING, vectors: { headDim: 3, keyHeads: 1 }, noVectors: "", ...changes });
}

describe("judge", () => {
  const row = scoreRow(QUERY, KEYS, PLAIN);

  test("says that it adds up, and within what", () => {
    const shown = Float32Array.from(row.weights);
    const verdict = judge({ row, shown, layer: layer({}), precision: EXACT });
    expect(verdict.kind).toBe("good");
    expect(verdict.sentence).toMatch(/^Adds up to the shown weights within \de-8\.$/);
  });

  test("accepts what the page's rounding explains, and nothing more", () => {
    const rounded = { ...EXACT, kind: "log8" } as const;
    const apart = (factor: number) => judge({ row, shown: row.weights.map((weight) => weight * factor), layer: layer({}), precision: rounded });
    expect(apart(1.02).kind).toBe("good");
    expect(apart(1.1).kind).toBe("off");
    expect(judge({ row, shown: row.weights.map((weight) => weight * 1.02), layer: layer({}), precision: EXACT }).kind).toBe("off");
  });

  test("never hides a difference: it is named with the layer's notes, or without", () => {
    const shown = [...row.weights];
    shown[1] = (shown[1] ?? 0) + 0.25;
    const bare = judge({ row, shown, layer: layer({}), precision: EXACT });
    expect(bare).toMatchObject({ kind: "off", key: 1 });
    expect(bare.difference).toBeCloseTo(0.25, 12);
    expect(bare.sentence).toContain("up to 0.25");
    const noted = judge({ row, shown, layer: layer({ notes: ["heads are mixed after the softmax"] }), precision: EXACT });
    expect(noted.sentence).toContain("heads are mixed after the softmax");
  });

  test("says what is missing when the bias is not held, or the scoring not known", () => {
    const biased = layer({ scoring: { ...SCORING, bias: true } });
    const verdict = judge({ row, shown: [0.1, 0.2, 0.3, 0.4], layer: biased, precision: EXACT });
    expect(verdict.kind).toBe("explained");
    expect(verdict.sentence).toContain("adds a bias");
    expect(judge({ row, shown: row.weights, layer: layer({ scoring: null }), precision: EXACT }).kind).toBe("explained");
  });

  test("leaves out keys that a page of the largest weights does not hold", () => {
    const shown = row.weights.map((weight) => (weight > 0.1 ? weight : 0));
    expect(judge({ row, shown, layer: layer({}), precision: { ...EXACT, kind: "top", top: 2 } }).kind).toBe("good");
    expect(judge({ row, shown, layer: layer({}), precision: { ...EXACT, kind: "float16" } }).kind).toBe("off");
  });

  test("holds what was left out to its bound, and does not take it for not-a-number", () => {
    const shown = row.weights.map((weight) => (weight > 0.1 ? weight : Number.NaN));
    const bounded = (bound: number) => row.weights.map((weight) => (weight > 0.1 ? weight : bound));
    const top = { ...EXACT, kind: "top", top: 2 } as const;
    const verdict = (bound: number) => judge({ row, shown, most: bounded(bound), layer: layer({}), precision: top });
    expect(verdict(0.1)).toMatchObject({ kind: "good", difference: 0 });
    expect(verdict(0.01).kind).toBe("off");
  });

  test("never says that not-a-number adds up", () => {
    const broken = scoreRow(Float32Array.from([1.5, Number.NaN, 2]), KEYS, PLAIN);
    expect(judge({ row: broken, shown: row.weights, layer: layer({}), precision: EXACT })).toMatchObject({ kind: "off" });
  });

  test("does not compare with weights that are not numbers", () => {
    expect(judge({ row, shown: [Number.NaN, 0, 0, 0], layer: layer({}), precision: EXACT })).toMatchObject({ kind: "off" });
  });

  test("vectors in float16 explain more than vectors in float32", () => {
    const [exact, half] = [tolerances(row, 0.5, EXACT), tolerances(row, 0.5, { ...EXACT, kind: "float16" })];
    exact.forEach((allowed, key) => expect(half[key]).toBeGreaterThan(allowed));
  });
});

describe("steps and formula", () => {
  test("name what the layer does, with its numbers", () => {
    expect(formulaOf({ ...SCORING, scale: 0.17677669 }, "none")).toBe("weight = softmax( 0.177 × q·k )");
    const all = { ...SCORING, scale: 0.125, softcap: 50, bias: true, biasHeld: true, sinks: [0.5] };
    expect(formulaOf(all, "added")).toBe("weight = softmax( 50 × tanh( 0.125 × q·k ÷ 50 ) + bias ; sink )");
    expect(stepsOf(all, "added").map((step) => step.title)).toEqual(["q · k", "× 0.125", "cap 50", "+ bias"]);
    expect(formulaOf({ ...SCORING, bias: true }, "missing")).toContain("bias (not held)");
    expect(stepsOf(null, "none").map((step) => step.title)).toEqual(["q · k"]);
  });

  test("a scale of 1 and a bias of nothing but zeros get no column of their own, and are said", () => {
    const scoring = { ...SCORING, scale: 1, bias: true, biasHeld: true };
    expect(stepsOf(scoring, "zero").map((step) => step.title)).toEqual(["q · k"]);
    expect(formulaOf(scoring, "zero")).toBe("weight = softmax( q·k )");
    expect(formulaOf(scoring, "added")).toBe("weight = softmax( q·k + bias )");
    const notes = arithmeticNotes(layer({ scoring }), 0, "zero").join(" ");
    expect(notes).toContain("does not scale");
    expect(notes).toContain("bias to the scores, which is 0");
  });

  test("the notes name what a layer has, and nothing that it may have", () => {
    expect(arithmeticNotes(layer({}), 0, "none")).toEqual([]);
    expect(arithmeticNotes(layer({ scoring: { ...SCORING, causal: true } }), 0, "none").join(" ")).toContain("causal");
  });

  test("bars have the whole track where all numbers have one sign, and meet at 0 where they have both", () => {
    expect(spanOf(Float64Array.from([2, 8, -50, Number.NEGATIVE_INFINITY]), [0, 1, 3])).toEqual({ low: 0, high: 8 });
    expect(spanOf(new Float64Array(3), [0, 1, 2])).toEqual({ low: 0, high: 1 });
    expect(barIn(8, { low: 0, high: 8 })).toEqual({ begin: 0, length: 1, zero: 0 });
    expect(barIn(-3, { low: -3, high: 1 })).toEqual({ begin: 0, length: 0.75, zero: 0.75 });
    expect(barIn(0.5, { low: -3, high: 1 })).toEqual({ begin: 0.75, length: 0.125, zero: 0.75 });
    expect(barIn(Number.NEGATIVE_INFINITY, { low: -3, high: 1 }).length).toBe(0);
  });

  test("large numbers leave room for their bars", () => {
    expect([signed(-1154.9213), signed(-26438920.4)]).toEqual(["−1154.9", "−2.64e+7"]);
  });

  test("numbers have a real minus sign", () => {
    expect([signed(-1.23456), signed(0.5, 1), signed(Number.NEGATIVE_INFINITY)]).toEqual(["−1.235", "0.5", "−∞"]);
  });
});

describe("columns", () => {
  test.each([16, 32, 64, 128, 256])("fit into the width, with strips for %i dimensions", (headDim) => {
    for (const width of [620, 780, 1100, 1800]) {
      for (const steps of [2, 3, 4]) {
        const widths = columnWidths(width, headDim, steps);
        expect(widths.strip).toBeGreaterThanOrEqual(64);
        if (width >= 720) expect(columnStarts(widths, steps).width).toBeLessThanOrEqual(width + 1);
      }
    }
  });
});

describe("rows in sight", () => {
  test("are those of the window and a few beside it", () => {
    expect(rowWindow(1000, 20, 400, 200)).toEqual({ first: 14, last: 36 });
    expect(rowWindow(5, 20, 0, 200)).toEqual({ first: 0, last: 5 });
    expect(rowWindow(0, 20, 0, 200)).toEqual({ first: 0, last: 0 });
  });

  test("scrolling moves as little as possible", () => {
    expect(revealed(2, 20, 100, 200)).toBe(40);
    expect(revealed(20, 20, 100, 200)).toBe(220);
    expect(revealed(7, 20, 100, 200)).toBe(100);
  });

  test("keys move inside the list", () => {
    expect(["ArrowDown", "ArrowUp", "PageDown", "Home", "End", "x"].map((key) => movedRow(key, 3, 10, 4))).toEqual([4, 2, 7, 0, 9, null]);
    expect(movedRow("ArrowDown", 0, 0, 4)).toBe(null);
  });
});

test("the first query explained is the last that is not a special token", () => {
  expect(defaultQuery([0, 1, 2, 3], [1, 0, 0, 1])).toBe(2);
  expect(defaultQuery([0, 1], [1, 1])).toBe(1);
  expect(defaultQuery([], undefined)).toBe(null);
});
