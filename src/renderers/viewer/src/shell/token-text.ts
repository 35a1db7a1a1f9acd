/** A token as text that stays in its own line and direction, whatever is in it. */

import { labelOf, shortened } from "../data/tokens";
import type { AxisInfo } from "../source/trace-info";
import { element } from "./dom";

/** More of a token than this is never in sight; the whole is in the title. */
const MOST = 60;

export function token(axis: AxisInfo, item: number, position: number): HTMLElement {
  const { text, title } = tokenText(axis, item, position);
  return element("bdi", { class: "attn-token", title }, text);
}

export function tokenText(axis: AxisInfo, item: number, position: number): { text: string; title: string } {
  return { text: shortened(labelOf(axis, item, position), MOST), title: tokenTitle(axis, item, position) };
}

/** "cat (2)", and how the tokenizer spells it where that differs. */
export function tokenTitle(axis: AxisInfo, item: number, position: number): string {
  const label = labelOf(axis, item, position);
  const raw = axis.raw?.[item]?.[position];
  return raw === undefined || raw === label ? `${label} (${position})` : `${label} (${position}), spelled ${raw}`;
}

