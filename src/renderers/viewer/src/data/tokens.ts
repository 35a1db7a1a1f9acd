/** Labels of positions as they are drawn: what cannot be seen is given a sign, and what is long is cut. */

import type { AxisInfo } from "../source/trace-info";

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** Signs for characters that would draw nothing, or change the direction of what follows. */
export function visible(text: string): string {
  if (text === "") return "∅";
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]/gu, signFor);
}

function signFor(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  return code === 0x7f ? "␡" : "�";
}

/** At most `most` characters as a reader counts them, with an ellipsis where some are left out. */
export function shortened(text: string, most: number): string {
  // Segmenting 10,000 characters for each token would be slow; no cut needs more than these.
  const start = text.length > 32 * most ? text.slice(0, 32 * most) : text;
  const parts = [...graphemes.segment(start)];
  if (parts.length <= most && start.length === text.length) return text;
  return `${parts.slice(0, Math.max(1, most - 1)).map((part) => part.segment).join("")}…`;
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
