/** Numbers as text. */

/** Small weights get no more decimals than this. */
const MOST_DECIMALS = 6;

/**
 * A weight with as many decimals as the source is good for; a weight too small for them is said to be below.
 *
 * `significant` is how many digits after the leading zeros are good, where small weights are known better than
 * `decimals` says: 0.0034 with 2 decimals and 2 significant digits is "0.0034".
 */
export function formatWeight(weight: number, decimals: number, significant = 0): string {
  if (Number.isNaN(weight)) return "not a number";
  if (!Number.isFinite(weight)) return weight > 0 ? "∞" : "−∞";
  const shown = weight === 0 ? decimals : Math.max(decimals, smallDecimals(weight, significant));
  const text = weight.toFixed(shown);
  if (weight !== 0 && Number(text) === 0) return `< ${(10 ** -shown).toFixed(shown)}`;
  return text.replace("-", "−");
}

function smallDecimals(weight: number, significant: number): number {
  if (significant === 0) return 0;
  const leadingZeros = -Math.floor(Math.log10(Math.abs(weight))) - 1;
  return Math.min(MOST_DECIMALS, leadingZeros + significant);
}

/** The threshold's slider has most of its room where most weights are: near 0. */
const STEPS = 100;
const POWER = 3;

/** The slider's place (0 to 100) as a threshold (0 to 1). */
export function thresholdAt(place: number): number {
  return Number(((place / STEPS) ** POWER).toPrecision(3));
}

export function placeOfThreshold(threshold: number): number {
  return Math.round(threshold ** (1 / POWER) * STEPS);
}
