/** A token as text that stays in its own line and direction, whatever is in it. */

import { labelOf, shortened } from "../data/tokens";
import type { AxisInfo } from "../source/trace-info";
import { element } from "./dom";

/** More of a token than this is never in sight; the whole is in the title. */
const MOST = 60;

export function token(axis: AxisInfo, item: number, position: number): HTMLElement {
  const label = labelOf(axis, item, position);
  return element("bdi", { class: "attn-token", title: tokenTitle(axis, item, position) }, shortened(label, MOST));
}

/** "cat (2)", and how the tokenizer spells it where that differs. */
export function tokenTitle(axis: AxisInfo, item: number, position: number): string {
  const label = labelOf(axis, item, position);
  const raw = axis.raw?.[item]?.[position];
  return raw === undefined || raw === label ? `${label} (${position})` : `${label} (${position}), spelled ${raw}`;
}

