/** Text near the pointer: a title and rows of label, bar and number. */

import type { TooltipRow } from "../views/view";
import { bar, swatch } from "./bars";
import { element, refill } from "./dom";
import { beside, type Box } from "./placement";

/** More rows than this would cover the view. */
const MOST_ROWS = 16;

export class Tooltip {
  readonly element = element("div", { class: "attn-tooltip", role: "tooltip", hidden: true });

  constructor(private readonly root: HTMLElement) {}

  /** `x` and `y` are in the window, as a pointer event's `clientX` and `clientY`. */
  show(x: number, y: number, title: string, rows: readonly TooltipRow[]): void {
    const shown = rows.length > MOST_ROWS ? rows.slice(0, MOST_ROWS - 1) : rows;
    const rest = rows.length - shown.length;
    const bars = shown.some((row) => row.share !== undefined);
    refill(
      this.element,
      title === "" ? null : element("div", { class: "attn-tooltip-title", dir: "auto" }, title),
      shown.length === 0 ? null : element("div", { class: "attn-tooltip-rows", "data-bars": bars }, ...shown.flatMap((row) => cells(row, bars))),
      rest === 0 ? null : element("div", { class: "attn-muted" }, `and ${rest} more`),
    );
    this.element.hidden = false;
    this.place(x, y);
  }

  hide(): void {
    this.element.hidden = true;
  }

  private place(x: number, y: number): void {
    const origin = this.root.getBoundingClientRect();
    const size = { width: this.element.offsetWidth, height: this.element.offsetHeight };
    const { left, top } = beside({ x, y }, size, seenPart(origin));
    this.element.style.left = `${left - origin.left}px`;
    this.element.style.top = `${top - origin.top}px`;
  }
}

/** `bars` is whether any row has one, and so whether all rows leave room for it. */
function cells(row: TooltipRow, bars: boolean): HTMLElement[] {
  const label = element("span", { class: "attn-tooltip-label" }, swatch(row.colour ?? null), element("bdi", {}, row.label));
  const value = element("span", { class: "attn-number" }, row.value);
  if (!bars) return [label, value];
  return [label, row.share === undefined ? element("span") : bar(row.share, row.colour ?? null), value];
}

/** The part of the root that is inside the window. */
function seenPart(origin: Box): Box {
  return {
    left: Math.max(0, origin.left),
    top: Math.max(0, origin.top),
    right: Math.min(window.innerWidth, origin.right),
    bottom: Math.min(window.innerHeight, origin.bottom),
  };
}
