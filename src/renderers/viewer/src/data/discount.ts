/**
 * Takes keys out of full rows of weights and scales the rest, so that each row keeps its sum.
 *
 * What a file has rounded is scaled with the rest: where little is left beside what is taken out, nothing may be known of
 * a weight that was 0.00001 "or less" and is 0.6 of what is left. So every weight is followed between the bounds that its
 * rounding leaves, and is a number only where they are close.
 */

import { roundingOf, type Coding, type Rounding } from "../source/rounding";

/** How far a scaled weight that is shown as a number may be off. Three rounded numbers make it: itself, what is taken out and what is left. */
export const KNOWN_WITHIN: Readonly<Record<Coding, number>> = { log8: 0.1, float16: 0.005 };
/** Rounding of the sums alone. */
const EXACT = 1e-6;
/** What is known to be below this is drawn as nothing, and reads as a bound. */
const NEXT_TO_NOTHING = 1e-4;

/** Changes `values` (rows, keys) in place and gives them back. A row that attends to nothing else is left all zero. */
export function discount(values: Float32Array, keys: number, discounted: readonly number[]): Float32Array {
  for (let start = 0; start < values.length; start += keys) {
    const row = values.subarray(start, start + keys);
    const before = sum(row);
    for (const key of discounted) row[key] = 0;
    const after = sum(row);
    // Not so where it is NaN either: one missing weight must not make the whole row missing.
    if (after > 0) scale(row, before / after);
  }
  return values;
}

function scale(row: Float32Array, factor: number): void {
  for (let key = 0; key < row.length; key += 1) row[key]! *= factor;
}

function sum(row: Float32Array): number {
  let total = 0;
  for (let key = 0; key < row.length; key += 1) total += row[key]!;
  return total;
}

type Block = { readonly values: Float32Array; readonly most?: Float32Array | undefined; readonly coding?: Coding | undefined };

/** A block of full rows with keys taken out; a copy, as a source may give the same block to others. */
export function discounted({ values, most, coding }: Block, keys: number, without: readonly number[]): Block {
  if (most === undefined && coding === undefined) return { values: discount(values.slice(), keys, without) };
  const changed = { values: values.slice(), most: (most ?? values).slice() };
  const row = new BoundedRow(without, coding);
  for (let start = 0; start < values.length; start += keys) {
    const [own, bounds] = [changed.values, changed.most].map((cells) => cells.subarray(start, start + keys)) as [Float32Array, Float32Array];
    row.discount(own, bounds);
  }
  return changed;
}

/** One row after the other. The loops here go through every weight of a view, which may be some hundred million. */
class BoundedRow {
  private readonly rounding: Rounding;
  private readonly within: number;

  constructor(
    private readonly without: readonly number[],
    coding: Coding | undefined,
  ) {
    this.rounding = roundingOf(coding);
    this.within = 1 + (coding === undefined ? EXACT : KNOWN_WITHIN[coding]);
  }

  discount(values: Float32Array, most: Float32Array): void {
    const taken = this.without.map((key) => values[key]!);
    const out = this.takeOut(values, most);
    const rest = this.rest(values, most);
    if (rest !== null && taken.every(isAttention)) return this.scale(values, most, { ...out, ...rest });
    // Bounds of weights that cancel each other say nothing.
    this.without.forEach((key, place) => (values[key] = taken[place]!));
    discount(values, values.length, this.without);
    values.forEach((value, key) => {
      if (!(value !== value && most[key] === most[key])) most[key] = value;
    });
  }

  /** Takes the keys out, and says how much that was, at least and at most. */
  private takeOut(values: Float32Array, most: Float32Array): Pick<Sums, "outLeast" | "outMost"> {
    let [outLeast, outMost] = [0, 0];
    for (const key of this.without) {
      outLeast += leastOf(values[key]!, this.rounding);
      outMost += largestOf(values[key]!, most[key]!, this.rounding);
      values[key] = most[key] = 0;
    }
    return { outLeast, outMost };
  }

  /** The sums of `leastOf` and `largestOf` over what is left; null for what is no attention. */
  private rest(values: Float32Array, most: Float32Array): Pick<Sums, "restLeast" | "restMost"> | null {
    const { tiny, tinyMost, step, share } = this.rounding;
    let [restLeast, restMost] = [0, 0];
    for (let key = 0; key < values.length; key += 1) {
      const value = values[key]!;
      const bound = most[key]!;
      if (value === bound && value > tiny) {
        const error = value * share > step ? value * share : step;
        restLeast += value - error;
        restMost += value + error;
      } else if (value === bound) {
        if (value < 0) return null;
        if (value > 0) restMost += tinyMost;
      } else {
        if (value < 0) return null;
        restLeast += leastOf(value, this.rounding);
        restMost += bound || 0;
      }
    }
    return restMost < Infinity ? { restLeast, restMost } : null;
  }

  /** With `w` of what is left, a weight becomes `w * (1 + out / (w + others))`, which rises with `w` and falls with the others. */
  private scale(values: Float32Array, most: Float32Array, sums: Sums): void {
    const { outLeast, restLeast, restMost } = sums;
    const { within, rounding } = this;
    const { whole, outLargest, usual, from } = this.factors(sums);
    // Weights that are not held are alike in a row, and so is what becomes of them.
    let [sameBound, leftOut, leftOutMost] = [Number.NaN, 0, 0];
    for (let key = 0; key < values.length; key += 1) {
      const value = values[key]!;
      const bound = most[key]!;
      if (value === bound && value > from) {
        values[key] = most[key] = value * usual < whole ? value * usual : whole;
      } else if (value !== value && bound === sameBound) {
        values[key] = leftOut;
        most[key] = leftOutMost;
      } else if (bound > 0) {
        const low = leastOf(value, rounding);
        const high = largestOf(value, bound, rounding);
        const others = Math.max(0, Math.min(restMost - high, whole - outLeast - low));
        const least = low === 0 ? 0 : low + (outLeast * low) / (low + others);
        const largest = Math.min(whole, high + (outLargest * high) / (high + Math.max(0, restLeast - low)));
        const scaled = value === bound ? Math.min(value * usual, largest) : 0;
        const known = scaled > 0 && largest <= scaled * within && least * within >= scaled;
        values[key] = known ? scaled : valueBetween(least, largest);
        most[key] = known ? scaled : largest;
        if (value !== value) [sameBound, leftOut, leftOutMost] = [bound, values[key]!, most[key]!];
      }
    }
  }

  /** What holds for all weights of a row. */
  private factors({ outLeast, outMost, restLeast, restMost }: Sums): Factors {
    const { within, rounding } = this;
    const { tiny, step, share } = rounding;
    // Attention sums to no more than 1, unless its weights say so themselves.
    const whole = outLeast + restLeast <= 1 ? 1 : Infinity;
    const outLargest = Math.min(outMost, Math.max(outLeast, whole - restLeast));
    const usual = 1 + (outLeast + outMost) / (restLeast + restMost);
    // Most rows are known well enough as a whole: then no weight of theirs needs bounds of its own, unless its last digits are gone.
    const known = (1 + share) * (1 + outLargest / restLeast) <= usual * within && (1 - share) * (1 + outLeast / restMost) * within >= usual;
    return { whole, outLargest, usual, from: known ? Math.max(tiny, step > 0 ? step / share : 0) : Infinity };
  }
}

/** Weights that are below 0 or without limit are something else. The model's own NaN counts nothing. */
function isAttention(weight: number): boolean {
  return !(weight < 0 || weight === Infinity);
}

/** What is taken out, and what is left. */
interface Sums {
  readonly outLeast: number;
  readonly outMost: number;
  readonly restLeast: number;
  readonly restMost: number;
}

interface Factors {
  /** What a row sums to at most. */
  readonly whole: number;
  /** What is taken out, at most, where what is left is known. */
  readonly outLargest: number;
  /** By which a weight is scaled. */
  readonly usual: number;
  /** Weights above this are known well enough when they are just scaled. */
  readonly from: number;
}

/** What a weight was at least before it was written; 0 for one that is not held. */
function leastOf(value: number, { tiny, step, share }: Rounding): number {
  return value > tiny ? value - Math.max(step, value * share) : 0;
}

/** What it was at most; 0 for the model's own NaN. */
function largestOf(value: number, most: number, { tiny, tinyMost, step, share }: Rounding): number {
  if (value !== most) return most || 0;
  if (value > tiny) return value + Math.max(step, value * share);
  return value > 0 ? tinyMost : 0;
}

/** What a tile has for a weight of which only bounds are known. */
function valueBetween(least: number, largest: number): number {
  if (least > 0) return least;
  return largest <= NEXT_TO_NOTHING ? 0 : Number.NaN;
}
