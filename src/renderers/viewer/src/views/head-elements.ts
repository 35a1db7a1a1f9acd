/** The head view's elements: headings, the window with its two columns and the canvas, and the line below. */

import { TokenColumn } from "../draw/token-column";
import { element } from "../shell/dom";
import { NUMBER_WIDTH, type HeadLayout, type Strip } from "./head-layout";
import { hasEdge } from "./head-edges";
import type { Headings } from "./head-words";

/** A heading may be wider than a narrow column; beside it there is room for what the numbers are. */
const HEADING_ROOM = 18;
const CAPTION_ROOM = 80;
const CAPTION_WINDOW = 560;
/** Narrower than this, there is room for no more than an arrow between the headings. */
const MIDDLE_WORDS = 130;

/** What stands above a column: its name, and what the numbers beside its tokens are. */
export interface SideHeading {
  readonly element: HTMLElement;
  readonly name: HTMLElement;
  readonly caption: HTMLElement;
}

export interface HeadElements {
  readonly root: HTMLElement;
  readonly querySide: SideHeading;
  readonly keySide: SideHeading;
  readonly middle: HTMLElement;
  /** Scrolls; as high as the window. */
  readonly scroller: HTMLElement;
  /** As high as the longer column. */
  readonly spacer: HTMLElement;
  /** Stays in the window while the scroller scrolls. */
  readonly stage: HTMLElement;
  readonly queries: TokenColumn;
  readonly keys: TokenColumn;
  readonly legend: HTMLElement;
  readonly status: HTMLElement;
}

/** `canvases` lie below the columns, the last on top. */
export function createElements(canvases: readonly HTMLCanvasElement[]): HeadElements {
  const queries = new TokenColumn("query");
  const keys = new TokenColumn("key");
  const querySide = createSide("query");
  const keySide = createSide("key");
  const arrow = element("span", { "aria-hidden": "true" }, "→");
  const middle = element("div", { class: "attn-columns-middle" }, element("span", {}, "attends to "), arrow);
  const headings = element("div", { class: "attn-columns-headings" }, querySide.element, middle, keySide.element);
  const stage = element("div", { class: "attn-columns-stage" }, ...canvases, queries.element, keys.element);
  const spacer = element("div", { class: "attn-columns-spacer" }, stage);
  const scroller = element("div", { class: "attn-columns-scroller" }, spacer);
  const legend = element("div", { class: "attn-columns-legend" });
  const status = element("div", { class: "attn-columns-status attn-muted" });
  const footer = element("div", { class: "attn-columns-footer" }, legend, status);
  const root = element("div", { class: "attn-columns" }, headings, scroller, footer);
  return { root, querySide, keySide, middle, scroller, spacer, stage, queries, keys, legend, status };
}

export function placeElements(elements: HeadElements, layout: HeadLayout, contentHeight: number): void {
  const { queries, keys } = elements;
  elements.spacer.style.height = `${Math.max(contentHeight, layout.height)}px`;
  elements.stage.style.height = `${layout.height}px`;
  place(queries.element, { left: layout.queryFigures.left, width: layout.queryFigures.width + layout.queryText.width });
  place(keys.element, { left: layout.keyText.left, width: layout.keyText.width + layout.keyFigures.width });
  for (const column of [queries, keys]) {
    column.element.style.setProperty("--attn-figures", `${layout.queryFigures.width}px`);
    column.element.style.setProperty("--attn-number", `${NUMBER_WIDTH}px`);
    column.element.classList.toggle("attn-edged", hasEdge(column.size));
  }
  placeHeadings(elements, layout);
}

/** Each heading stands at its column's inner edge, and goes outwards as far as it needs to. */
function placeHeadings({ querySide, keySide, middle }: HeadElements, layout: HeadLayout): void {
  const { queryFigures, keyFigures, keyText, lines, width } = layout;
  const caption = width >= CAPTION_WINDOW ? CAPTION_ROOM : 0;
  const needed = ({ name }: SideHeading): number => name.scrollWidth + HEADING_ROOM + caption;
  const queryWidth = Math.min(lines.left, Math.max(needed(querySide), lines.left - queryFigures.left));
  const keyEnd = keyFigures.left + keyFigures.width;
  const keyWidth = Math.min(width - keyText.left, Math.max(needed(keySide), keyEnd - keyText.left));
  place(querySide.element, { left: lines.left - queryWidth, width: queryWidth });
  place(keySide.element, { left: keyText.left, width: keyWidth });
  place(middle, lines);
  middle.classList.toggle("attn-arrow-only", lines.width < MIDDLE_WORDS);
}

/** Returns whether the names are other ones than before. */
export function nameElements({ querySide, keySide }: HeadElements, headings: Headings): boolean {
  if (querySide.name.textContent === headings.query && keySide.name.textContent === headings.key) return false;
  querySide.name.textContent = headings.query;
  keySide.name.textContent = headings.key;
  return true;
}

function createSide(side: "query" | "key"): SideHeading {
  const name = element("h3", { class: "attn-columns-name" });
  const caption = element("div", { class: "attn-columns-caption attn-muted" });
  return { element: element("div", { class: `attn-columns-side attn-columns-side-${side}` }, name, caption), name, caption };
}

function place(target: HTMLElement, { left, width }: Strip): void {
  target.style.left = `${left}px`;
  target.style.width = `${width}px`;
}
