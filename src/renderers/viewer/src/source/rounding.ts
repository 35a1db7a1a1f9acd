/** What a weight may have been before it was written: both encodings of docs/page-format.md round it. */

export type Coding = "log8" | "float16";

/** What stands for a weight that log8 knows to be small and no more, but not 0: so small that no sum notices it. */
export const TINY = 2 ** -20;
/** Where log8's code 2 begins: what is smaller, and not 0, is `TINY`. */
const LEAST_LOG8 = 2 ** (((1.5 - 255) * 16) / 254);
/** Float16 has all of its digits from here on. */
export const LEAST_HALF = 2 ** -14;
const HALF_STEP = 2 ** -25;
/** Python's logarithm is one of float32. */
const FLOAT32 = 1.0001;

/** A weight may be so much larger than it is written: half a step of either encoding. */
export const ROUNDING: Readonly<Record<Coding, number>> = { log8: 2 ** (16 / 254 / 2), float16: 1 + 2 ** -11 };

/** A weight above 0 that is written as `tiny` or less was between 0 and `tinyMost`; a larger one is off by `step`, or `share` of itself. */
export interface Rounding {
  readonly tiny: number;
  readonly tinyMost: number;
  readonly step: number;
  readonly share: number;
}

const NONE: Rounding = { tiny: 0, tinyMost: 0, step: 0, share: 0 };
const OF_CODING: Readonly<Record<Coding, Rounding>> = {
  log8: { tiny: TINY, tinyMost: LEAST_LOG8, step: 0, share: ROUNDING.log8 * FLOAT32 - 1 },
  float16: { tiny: 2 * HALF_STEP, tinyMost: 3 * HALF_STEP, step: HALF_STEP, share: ROUNDING.float16 - 1 },
};

export function roundingOf(coding: Coding | undefined): Rounding {
  return coding === undefined ? NONE : OF_CODING[coding];
}
