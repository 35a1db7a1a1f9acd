/** Labels of positions as they are drawn: what cannot be seen is given a sign, and what is long is cut. */

import type { AxisInfo } from "../source/trace-info";
import { graphemes } from "./graphemes";

/**
 * Characters that would draw nothing anywhere, or turn the direction of what follows. Joiners and direction marks
 * (U+200C to U+200F) are not among them: emoji, Persian and Indic words need them.
 */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]/gu;
/** A label of nothing but white space, joiners and marks. */
const BLANK = /^[\s\u200c-\u200f\ufe00-\ufe0f]+$/u;

/** The text with signs for what cannot be seen: "␣", "␊", "␀", "‹U+202E›", and "∅" for no text at all. */
export function visible(text: string): string {
  if (text === "") return "∅";
  const seen = text.replace(UNSEEN, signFor);
  return BLANK.test(seen) ? [...seen].map(blankSign).join("") : seen;
}

function signFor(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code >= 0xd800 && code <= 0xdfff) return "\ufffd";
  return code === 0x7f ? "␡" : named(code);
}

function blankSign(character: string): string {
  return character === " " ? "␣" : named(character.codePointAt(0) ?? 0);
}

function named(code: number): string {
  return `‹U+${code.toString(16).toUpperCase().padStart(4, "0")}›`;
}

/** At most `most` characters as a reader counts them, with an ellipsis where some are left out. */
export function shortened(text: string, most: number): string {
  if (text.length <= most) return text;
  // A character may be many code units (a family of emoji has 11), but not as many as somebody can pile up.
  const start = text.slice(0, 32 * most);
  const parts = graphemes(start);
  if (parts.length <= most && start.length === text.length) return text;
  return `${parts.slice(0, Math.max(1, most - 1)).join("")}…`;
}

/** The label of a position, visible and not cut. */
export function labelOf(axis: AxisInfo, item: number, position: number): string {
  const label = axis.labels[item]?.[position] ?? String(position);
  if (axis.kind === "patch" && axis.grid !== null) return patchLabel(axis, position, label);
  return visible(label);
}

/** Row and column of an image patch; positions before the patches keep their label. */
function patchLabel(axis: AxisInfo, position: number, label: string): string {
  const [rows, columns] = axis.grid ?? [0, 1];
  const patch = position - (axis.length - rows * columns);
  if (patch < 0 || label !== String(position)) return visible(label);
  return `r${Math.floor(patch / columns) + 1} c${(patch % columns) + 1}`;
}
