/** A token as text that stays in its own line and direction, whatever is in it. */

import type { AxisInfo } from "../source/trace-info";
import { element } from "./dom";

/** More of a token than this is never in sight; the whole is in the title. */
const MOST = 120;

export function token(axis: AxisInfo, item: number, position: number): HTMLElement {
  const label = axis.labels[item]?.[position] ?? "";
  const raw = axis.raw?.[item]?.[position];
  const title = raw === undefined || raw === label ? `${label} (${position})` : `${label} (${position}), spelled ${raw}`;
  return element("bdi", { class: "attn-token", title }, visible(label));
}

/** White space and control characters as signs that can be seen: "␣", "␊", "␀"; an empty token as "∅". */
export function visible(label: string): string {
  if (label === "") return "∅";
  const shortened = label.length > MOST ? `${label.slice(0, MOST)}…` : label;
  return shortened
    .replace(/[\u0000-\u001f]/g, (character) => String.fromCharCode(0x2400 + character.charCodeAt(0)))
    .replace(/\u007f/g, "␡")
    .replace(/^ +$/, (spaces) => "␣".repeat(spaces.length));
}
