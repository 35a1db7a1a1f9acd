import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { discounted, KNOWN_WITHIN } from "../../src/data/discount";
import { isLeftOut } from "../../src/data/weights";
import { float16, log8 } from "../../src/source/decode";
import { roundingOf, type Coding } from "../../src/source/rounding";

const KEYS = 9;

/** The softmax of scores far apart, so that rows have much, little or next to nothing beside their largest weight. */
function softmax(scores: readonly number[]): number[] {
  const largest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** As the file has it, written here from the description of the format. */
function written(weights: readonly number[], coding: Coding): Float32Array {
  if (coding === "log8") {
    return log8(Uint8Array.from(weights, (weight) => (weight === 0 ? 0 : Math.max(1, Math.min(255, Math.round(Math.log2(weight) * (254 / 16) + 255))))));
  }
  const halves = weights.map((weight) => (weight < 2 ** -14 ? Math.max(weight === 0 ? 0 : 1, Math.round(weight * 2 ** 24)) : halfBits(weight)));
  return float16(new Uint8Array(Uint16Array.from(halves).buffer));
}

function halfBits(weight: number): number {
  const exponent = Math.floor(Math.log2(weight));
  return (exponent + 15) * 1024 + Math.round((weight / 2 ** exponent - 1) * 1024);
}

function truth(weights: readonly number[], without: readonly number[]): number[] {
  const sum = weights.reduce((total, weight, key) => total + (without.includes(key) ? 0 : weight), 0);
  return weights.map((weight, key) => (without.includes(key) || sum === 0 ? 0 : weight / sum));
}

describe.each(["log8", "float16"] as const)("a row of %s with keys taken out", (coding) => {
  it("has numbers only where its rounding leaves them, and true bounds elsewhere", () => {
    const rows = fc.array(fc.double({ min: -18, max: 3, noNaN: true }), { minLength: KEYS, maxLength: KEYS }).map(softmax);
    fc.assert(
      fc.property(rows, fc.subarray([0, 3, 8], { minLength: 1 }), (row, without) => {
        const { values, most } = discounted({ values: written(row, coding), coding }, KEYS, without);
        truth(row, without).forEach((weight, key) => {
          const [value, bound] = [values[key]!, most![key]!];
          if (value === bound) expect(Math.abs(value - weight)).toBeLessThanOrEqual(KNOWN_WITHIN[coding] * weight * 1.0001);
          else expect(weight).toBeLessThanOrEqual(bound * 1.0001);
          expect(bound).toBeLessThanOrEqual(1);
          if (!isLeftOut(value, bound)) expect(value).toBeLessThanOrEqual(weight * (1 + KNOWN_WITHIN[coding]) * 1.0001);
        });
      }),
      { numRuns: 400 },
    );
  });

  it("has its numbers where much is left", () => {
    const row = softmax([2, 0, 1, 0, 0.5, 0, 0, 0, 0]);
    const { values, most } = discounted({ values: written(row, coding), coding }, KEYS, [0]);
    expect([...values]).toEqual([...most!]);
    truth(row, [0]).forEach((weight, key) => expect(Math.abs(values[key]! - weight)).toBeLessThanOrEqual(KNOWN_WITHIN[coding] * weight));
  });
});

/** A row by the formulas themselves, one weight after the other: value and bound of each. */
function plainly(values: readonly number[], most: readonly number[], coding: Coding, without: readonly number[]): [number, number][] {
  const { tiny, tinyMost, step, share } = roundingOf(coding);
  const error = (value: number): number => Math.max(step, value * share);
  const low = values.map((value) => (value > tiny ? value - error(value) : 0));
  const high = values.map((value, key) => (value !== most[key] ? most[key]! || 0 : value > tiny ? value + error(value) : value > 0 ? tinyMost : 0));
  const sum = (parts: readonly number[], out: boolean): number => parts.reduce((total, part, key) => total + (without.includes(key) === out ? part : 0), 0);
  const [outLeast, outMost, restLeast, restMost] = [sum(low, true), sum(high, true), sum(low, false), sum(high, false)];
  const whole = outLeast + restLeast <= 1 ? 1 : Infinity;
  const outLargest = Math.min(outMost, Math.max(outLeast, whole - restLeast));
  const usual = 1 + (outLeast + outMost) / (restLeast + restMost);
  return values.map((value, key) => {
    if (without.includes(key)) return [0, 0];
    if (high[key] === 0) return [value, most[key]!];
    const others = Math.max(0, Math.min(restMost - high[key]!, whole - outLeast - low[key]!));
    const least = low[key] === 0 ? 0 : low[key]! + (outLeast * low[key]!) / (low[key]! + others);
    const largest = Math.min(whole, high[key]! + (outLargest * high[key]!) / (high[key]! + Math.max(0, restLeast - low[key]!)));
    const scaled = value === most[key] ? Math.min(value * usual, largest) : 0;
    const within = 1 + KNOWN_WITHIN[coding];
    if (scaled > 0 && largest <= scaled * within && least * within >= scaled) return [scaled, scaled];
    return [least > 0 ? least : largest <= 1e-4 ? 0 : NaN, largest];
  });
}

describe.each(["log8", "float16"] as const)("rows of %s, of which some weights are not held", (coding) => {
  it("are what the formulas give for each weight by itself", () => {
    const weight = fc.oneof(fc.double({ min: 1e-8, max: 0.2, noNaN: true }), fc.constantFrom(0, 1e-7, 1e-6), fc.constantFrom("left out", "more left out", "missing"));
    const rows = fc.array(weight, { minLength: 2 * KEYS, maxLength: 2 * KEYS });
    fc.assert(
      fc.property(rows, fc.subarray([0, 3, 8]), (cells, without) => {
        const numbers = cells.map((cell) => (typeof cell === "number" ? cell : NaN));
        const values = written(numbers.map((number) => number || 0), coding).map((value, key) => (Number.isNaN(numbers[key]) ? NaN : value));
        const most = values.map((value, key) => (cells[key] === "left out" ? 1e-3 : cells[key] === "more left out" ? 0.01 : value));
        const changed = discounted({ values, most, coding }, KEYS, without);
        const wanted = [0, KEYS].flatMap((start) => plainly([...values.slice(start, start + KEYS)], [...most.slice(start, start + KEYS)], coding, without));
        const near = (place: number, [value, bound]: [number, number]): boolean =>
          [[changed.values[place]!, value], [changed.most![place]!, bound]].every(([one, other]) => Object.is(one, Math.fround(other!)) || Math.abs(one! / other! - 1) < 1e-6);
        // Where a whole row is known well enough, no bounds of single weights are asked for: the number is the same.
        wanted.forEach((one, place) => expect([place, near(place, one)]).toEqual([place, true]));
      }),
      { numRuns: 300 },
    );
  });
});

it("says nothing of weights that are all that is left, and too small to be told from each other", () => {
  const row = [1 - 1.1e-5, 1e-5, 1e-6, 0];
  const { values, most } = discounted({ values: written(row, "log8"), coding: "log8" }, 4, [0]);
  expect([...values]).toEqual([0, Number.NaN, Number.NaN, 0]);
  expect([...most!].map((bound) => Number(bound.toFixed(3)))).toEqual([0, 1, 1, 0]);
});

it("leaves weights that are known to be next to nothing at 0, below a bound", () => {
  const { values, most } = discounted({ values: written([0.5, 0.49999, 1e-5], "log8"), coding: "log8" }, 3, [0]);
  expect(values[2]).toBe(0);
  expect(most![2]).toBeGreaterThan(1.56e-5);
  expect(most![2]).toBeLessThan(4e-5);
});

it("scales weights that are not rounded as they are, negative ones too", () => {
  const plain = discounted({ values: Float32Array.from([0.5, 0.375, 0.125]) }, 3, [0]);
  expect([...plain.values]).toEqual([0, 0.75, 0.25]);
  expect(plain.most).toBe(undefined);
  const negative = discounted({ values: Float32Array.from([0.5, 0.625, -0.125]), coding: "float16" }, 3, [0]);
  expect([...negative.values]).toEqual([0, 1.25, -0.25]);
  expect(negative.most).toEqual(negative.values);
});
