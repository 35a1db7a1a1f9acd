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
  const row = new BoundedRow(keys, without, coding);
  for (let start = 0; start < values.length; start += keys) {
    const [own, bounds] = [changed.values, changed.most].map((cells) => cells.subarray(start, start + keys)) as [Float32Array, Float32Array];
    row.discount(own, bounds);
  }
  return changed;
}

/** One row after the other, in the same memory. */
class BoundedRow {
  private readonly taken: Uint8Array;
  private readonly least: Float64Array;
  private readonly most: Float64Array;

  private readonly rounding: Rounding;
  private readonly within: number;

  constructor(
    keys: number,
    private readonly without: readonly number[],
    coding: Coding | undefined,
  ) {
    [this.least, this.most] = [new Float64Array(keys), new Float64Array(keys)];
    this.taken = new Uint8Array(keys);
    for (const key of without) this.taken[key] = 1;
    this.rounding = roundingOf(coding);
    this.within = 1 + (coding === undefined ? EXACT : KNOWN_WITHIN[coding]);
  }

  discount(values: Float32Array, most: Float32Array): void {
    const sums = this.sums(values, most);
    if (sums === null) this.discountPlain(values, most);
    else this.scale(values, most, sums);
  }

  /** Bounds of weights that cancel each other say nothing. */
  private discountPlain(values: Float32Array, most: Float32Array): void {
    discount(values, values.length, this.without);
    values.forEach((value, key) => {
      if (!(value !== value && most[key] === most[key])) most[key] = value;
    });
  }

  /** What is taken out and what is left, at least and at most; null for what is no attention. The model's own NaN counts nothing. */
  private sums(values: Float32Array, most: Float32Array): Sums | null {
    const { taken, least, most: largest } = this;
    const { tiny, tinyMost, step, share } = this.rounding;
    let [outLeast, outMost, restLeast, restMost] = [0, 0, 0, 0];
    for (let key = 0; key < values.length; key += 1) {
      const value = values[key]!;
      const bound = most[key]!;
      if (value < 0 || value === Infinity) return null;
      const error = Math.max(step, value * share);
      const low = value > tiny ? value - error : 0;
      const high = value !== bound ? bound || 0 : value > tiny ? value + error : value > 0 ? tinyMost : 0;
      least[key] = low;
      largest[key] = high;
      if (taken[key] === 1) {
        outLeast += low;
        outMost += high;
      } else {
        restLeast += low;
        restMost += high;
      }
    }
    return { outLeast, outMost, restLeast, restMost };
  }

  /** With `w` of what is left, a weight becomes `w * (1 + out / (w + others))`, which rises with `w` and falls with the others. */
  private scale(values: Float32Array, most: Float32Array, { outLeast, outMost, restLeast, restMost }: Sums): void {
    const { taken, within } = this;
    // Attention sums to no more than 1, unless its weights say so themselves.
    const whole = outLeast + restLeast <= 1 ? 1 : Infinity;
    const outLargest = Math.min(outMost, Math.max(outLeast, whole - restLeast));
    const usual = 1 + (outLeast + outMost) / (restLeast + restMost);
    const { tiny, step, share } = this.rounding;
    // Most rows are known well enough as a whole: then no weight of theirs needs bounds of its own, unless its last digits are gone.
    const known = (1 + share) * (1 + outLargest / restLeast) <= usual * within && (1 - share) * (1 + outLeast / restMost) * within >= usual;
    const from = known ? Math.max(tiny, step > 0 ? step / share : 0) : Infinity;
    for (let key = 0; key < values.length; key += 1) {
      const high = taken[key] === 1 ? 0 : this.most[key]!;
      if (high === 0) {
        if (taken[key] === 1) values[key] = most[key] = 0;
        continue;
      }
      if (values[key] === most[key] && values[key]! > from) {
        values[key] = most[key] = Math.min(whole, values[key]! * usual);
        continue;
      }
      const low = this.least[key]!;
      const others = Math.max(0, Math.min(restMost - high, whole - outLeast - low));
      const least = low + (low === 0 ? 0 : (outLeast * low) / (low + others));
      const largest = Math.min(whole, high + (outLargest * high) / (high + Math.max(0, restLeast - low)));
      const value = values[key] === most[key] ? Math.min(values[key]! * usual, largest) : 0;
      if (value > 0 && largest <= value * within && least * within >= value) {
        values[key] = most[key] = value;
      } else {
        values[key] = valueBetween(least, largest);
        most[key] = largest;
      }
    }
  }
}

interface Sums {
  readonly outLeast: number;
  readonly outMost: number;
  readonly restLeast: number;
  readonly restMost: number;
}

/** What a tile has for a weight of which only bounds are known. */
function valueBetween(least: number, largest: number): number {
  if (least > 0) return least;
  return largest <= NEXT_TO_NOTHING ? 0 : Number.NaN;
}
