/** The elements of the matrix view: title, sorting, zoom, legend, and the room for the picture and what is beside it. */

import { create } from "d3-selection";
import { LEGEND_HEIGHT } from "../draw/legend";
import { choice, type Field } from "../shell/fields";
import { button, element } from "../shell/dom";
import type { MatrixSort } from "../state/selection";
import { createOverlay } from "./matrix-overlay";

export interface MatrixElements {
  readonly root: HTMLElement;
  readonly title: HTMLElement;
  readonly caption: HTMLElement;
  readonly sort: Field<MatrixSort>;
  readonly legend: SVGSVGElement;
  readonly body: HTMLElement;
  /** Holds rulers and picture; `pane` is the picture itself, which takes the keyboard and the pointer. */
  readonly stage: HTMLElement;
  readonly pane: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  readonly overlay: SVGSVGElement;
  readonly side: HTMLElement;
}

export interface MatrixActions {
  sort(order: MatrixSort): void;
  zoom(factor: number): void;
  fit(): void;
}

const SORTS = [
  ["position", "Position", "Tokens in their order in the text"],
  ["query", "Keys by weight", "Keys ordered by their weight from the pinned query"],
  ["key", "Queries by weight", "Queries ordered by their weight to the pinned key"],
] as const;

export function createElements(actions: MatrixActions): MatrixElements {
  const title = element("h2", { class: "attn-matrix-title" });
  const sort = choice<MatrixSort>("Order of the tokens", SORTS, (order) => actions.sort(order));
  const zoom = element(
    "div",
    { class: "attn-matrix-zoom", role: "group", "aria-label": "Zoom" },
    button("−", { "aria-label": "Zoom out", title: "Zoom out (−)" }, () => actions.zoom(0.5)),
    button("+", { "aria-label": "Zoom in", title: "Zoom in (+)" }, () => actions.zoom(2)),
    button("Fit", { title: "Show the whole matrix (0)" }, () => actions.fit()),
  );
  const legend = create("svg:svg").attr("class", "attn-matrix-legend").attr("role", "img").attr("height", LEGEND_HEIGHT).node() as SVGSVGElement;
  const order = element("div", { class: "attn-row attn-matrix-order" }, element("span", { class: "attn-label", "aria-hidden": "true" }, "Order"), sort.element);
  const bar = element("div", { class: "attn-matrix-bar" }, title, order, zoom);
  bar.append(legend);
  const caption = element("p", { class: "attn-matrix-caption", hidden: true });
  const canvas = element("canvas", { role: "img", "aria-label": "Heat map of the weights: queries down, keys across" });
  const pane = element("div", { class: "attn-matrix-pane", tabindex: 0, role: "application", "aria-roledescription": "heat map" }, canvas);
  const overlay = createOverlay();
  overlay.setAttribute("class", "attn-matrix-overlay");
  const stage = element("div", { class: "attn-matrix-stage" }, pane);
  stage.append(overlay);
  const side = element("div", { class: "attn-matrix-side" });
  const body = element("div", { class: "attn-matrix-body" }, stage, side);
  const root = element("div", { class: "attn-matrix" }, bar, caption, body);
  return { root, title, caption, sort, legend, body, stage, pane, canvas, overlay, side };
}
