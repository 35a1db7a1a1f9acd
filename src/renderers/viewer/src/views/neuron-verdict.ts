/** Whether what is computed here from q and k adds up to the weights that the page shows elsewhere, and if not, why. */

import type { LayerInfo, PrecisionInfo } from "../source/trace-info";
import type { ScoreRow } from "./neuron-arithmetic";

/** "good": within the precision. "explained": the page lacks something, and says what. "off": neither. */
export interface Verdict {
  readonly kind: "good" | "explained" | "off";
  readonly sentence: string;
  /** The largest difference between a computed and a shown weight, and the key where it is. */
  readonly difference: number;
  readonly key: number;
}

/** Relative size of the last digit: of vectors kept in float16, and of the arithmetic in float32. */
const FLOAT16 = 2 ** -11;
const FLOAT32 = 2 ** -23;
/** Steps of the 8-bit logarithmic codes: 16 octaves in 254, and what is dropped below the smallest. */
const LOG8_RELATIVE = 2 ** (8 / 254) - 1;
const LOG8_SMALLEST = 2 ** -16;
/** Rounding errors add up at random; four standard deviations cover them. */
const DEVIATIONS = 4;

/**
 * How far a shown weight may be from the computed one without anything being wrong.
 *
 * The score of a key is uncertain by the rounding of q and k, in proportion to the root of the sum of squared products,
 * and a softmax turns an error e of the scores into a factor of at most exp(2 e); the shown weight is rounded too.
 */
export function tolerances(row: ScoreRow, scale: number, precision: PrecisionInfo): Float64Array {
  const vectors = precision.kind === "exact" ? FLOAT32 : FLOAT16;
  let error = 0;
  row.scores.forEach((score, key) => {
    if (score === Number.NEGATIVE_INFINITY) return;
    const bias = Math.abs(score - (row.capped[key] ?? 0));
    const product = Math.abs(scale) * (row.spreads[key] ?? 0) * DEVIATIONS;
    error = Math.max(error, (product + bias) * vectors + Math.abs(score) * FLOAT32);
  });
  const [relative, absolute] = rounding(precision);
  return row.weights.map((weight) => weight * (Math.expm1(2 * error) + relative) + absolute);
}

/** Relative and absolute rounding of the weights themselves. */
function rounding(precision: PrecisionInfo): [number, number] {
  if (precision.kind === "exact") return [1e-6, 1e-6];
  if (precision.kind === "float16") return [FLOAT16, 2 ** -24];
  return [LOG8_RELATIVE, LOG8_SMALLEST];
}

const NOT_NUMBERS = "What is computed here from q and k is not a number (NaN), so there is nothing to compare with the shown weights.";

export interface VerdictParts {
  readonly row: ScoreRow;
  /** The weights that the source gives for the same query. */
  readonly shown: ArrayLike<number>;
  /** What each is at most, where the source left weights out (see `Tile`). */
  readonly most?: ArrayLike<number> | undefined;
  readonly layer: LayerInfo;
  readonly precision: PrecisionInfo;
}

export function judge(parts: VerdictParts): Verdict {
  const { row, shown, most, layer, precision } = parts;
  if (row.weights.some(Number.isNaN)) return { kind: "off", sentence: NOT_NUMBERS, difference: Number.NaN, key: row.weights.findIndex(Number.isNaN) };
  const allowed = tolerances(row, layer.scoring?.scale ?? 1, precision);
  let [difference, key, within, missing] = [0, 0, true, false];
  row.weights.forEach((weight, place) => {
    const given = shown[place] ?? 0;
    const bound = most?.[place] ?? given;
    if (Number.isNaN(bound)) missing = true;
    // A page that holds the largest keys of each query knows nothing of the others, but what they are below.
    if (Number.isNaN(bound) || (precision.kind === "top" && bound === 0)) return;
    const apart = bound === given ? Math.abs(weight - given) : Math.max(0, weight - bound);
    if (apart > (allowed[place] ?? 0)) within = false;
    if (apart > difference) [difference, key] = [apart, place];
  });
  return { ...sentenceOf(parts, difference, within, missing), difference, key };
}

function sentenceOf({ layer, precision }: VerdictParts, difference: number, within: boolean, missing: boolean): Pick<Verdict, "kind" | "sentence"> {
  const apart = shortNumber(difference);
  const lacks = lacking(layer);
  if (missing) return { kind: "off", sentence: "The model's own weights of this query are not numbers (NaN), so there is nothing to compare with." };
  if (lacks !== "") return { kind: "explained", sentence: `${lacks} So what is computed here differs from the shown weights by up to ${apart}.` };
  const held = precision.kind === "top" ? ", for the keys that this page holds" : "";
  if (within) return { kind: "good", sentence: `Adds up to the shown weights within ${apart}${held}.` };
  const why = layer.notes.length > 0 ? ` The trace notes on this layer: ${layer.notes.join("; ")}.` : " The model may compute in a lower precision, or do something to its scores that the trace does not hold.";
  return { kind: "off", sentence: `Differs from the shown weights by up to ${apart}, more than rounding explains.${why}` };
}

/** What enters between q, k and the weights that this page does not hold; empty when it holds everything. */
export function lacking(layer: LayerInfo): string {
  const { scoring } = layer;
  if (scoring === null) return "The trace does not say how the scores are scaled or masked: no scale is applied here.";
  if (scoring.bias && !scoring.biasHeld) return "The model adds a bias to the scores that this page does not hold.";
  return "";
}

/** Two significant digits, and never more zeros than that takes. */
export function shortNumber(value: number): string {
  if (value === 0) return "0";
  if (Math.abs(value) < 1e-6) return value.toExponential(0);
  return String(Number(value.toPrecision(2)));
}
