/** How exact the numbers are, in words. */

import { LEAST_HALF } from "../source/rounding";
import type { PrecisionInfo } from "../source/trace-info";

/** The file's own sentence, and down to which weight it holds: no code of a few bits is as exact for all of them. */
export function precisionText({ kind, sentence, least = 0 }: PrecisionInfo): string {
  const from = kind === "float16" ? LEAST_HALF : least;
  return from > 0 && sentence !== "" ? `${sentence} down to ${from.toFixed(6)}` : sentence;
}
