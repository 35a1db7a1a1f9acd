/** The head view's elements: headings, the window with its two columns and the canvas, and the line below. */

import { TokenColumn } from "../draw/token-column";
import { element } from "../shell/dom";
import type { HeadLayout, Strip } from "./head-layout";
import { hasEdge } from "./head-edges";
import type { Headings } from "./head-words";

export interface HeadElements {
  readonly root: HTMLElement;
  readonly queryHeading: HTMLElement;
  readonly keyHeading: HTMLElement;
  readonly middleHeading: HTMLElement;
  readonly queryCaption: HTMLElement;
  readonly keyCaption: HTMLElement;
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

export function createElements(canvas: HTMLCanvasElement): HeadElements {
  const queries = new TokenColumn("query");
  const keys = new TokenColumn("key");
  const queryHeading = element("h3", { class: "attn-columns-heading attn-columns-heading-query" });
  const keyHeading = element("h3", { class: "attn-columns-heading attn-columns-heading-key" });
  const middleHeading = element("div", { class: "attn-columns-heading attn-columns-heading-middle" }, "attends to", element("span", { class: "attn-columns-arrow", "aria-hidden": "true" }, "→"));
  const queryCaption = element("div", { class: "attn-columns-caption attn-columns-caption-query" });
  const keyCaption = element("div", { class: "attn-columns-caption attn-columns-caption-key" });
  const headings = element("div", { class: "attn-columns-headings" }, queryCaption, queryHeading, middleHeading, keyHeading, keyCaption);
  const stage = element("div", { class: "attn-columns-stage" }, canvas, queries.element, keys.element);
  const spacer = element("div", { class: "attn-columns-spacer" }, stage);
  const scroller = element("div", { class: "attn-columns-scroller" }, spacer);
  const legend = element("div", { class: "attn-columns-legend" });
  const status = element("div", { class: "attn-columns-status attn-muted" });
  const footer = element("div", { class: "attn-columns-footer" }, legend, status);
  const root = element("div", { class: "attn-columns" }, headings, scroller, footer);
  return { root, queryHeading, keyHeading, middleHeading, queryCaption, keyCaption, scroller, spacer, stage, queries, keys, legend, status };
}

export function placeElements(elements: HeadElements, layout: HeadLayout, contentHeight: number): void {
  const { queries, keys } = elements;
  elements.spacer.style.height = `${Math.max(contentHeight, layout.height)}px`;
  elements.stage.style.height = `${layout.height}px`;
  place(queries.element, { left: layout.queryFigures.left, width: layout.queryFigures.width + layout.queryText.width });
  place(keys.element, { left: layout.keyText.left, width: layout.keyText.width + layout.keyFigures.width });
  for (const column of [queries, keys]) {
    column.element.style.setProperty("--attn-figures", `${layout.queryFigures.width}px`);
    column.element.classList.toggle("attn-edged", hasEdge(column.size));
  }
  const queryEnd = layout.queryFigures.left + layout.queryFigures.width;
  place(elements.queryCaption, layout.queryFigures);
  place(elements.queryHeading, { left: queryEnd, width: layout.queryText.width });
  place(elements.middleHeading, layout.lines);
  place(elements.keyHeading, layout.keyText);
  place(elements.keyCaption, layout.keyFigures);
}

export function nameElements(elements: HeadElements, headings: Headings): void {
  elements.queryHeading.textContent = headings.query;
  elements.keyHeading.textContent = headings.key;
}

function place(target: HTMLElement, { left, width }: Strip): void {
  target.style.left = `${left}px`;
  target.style.width = `${width}px`;
}
