/** The elements around the table of the neuron view: title, head stepper, choices, formula, verdict. */

import { select } from "d3-selection";
import { divergingTicks, drawLegend, LEGEND_HEIGHT } from "../draw/legend";
import { FONT_FAMILY } from "../draw/rulers-draw";
import type { Colours } from "../draw/colours";
import { choice, type Field } from "../shell/fields";
import { button, element } from "../shell/dom";
import { icon } from "../shell/icons";

export type DimensionOrder = "model" | "contribution";
export type KeyOrder = "position" | "weight";

export interface NeuronActions {
  stepHead(by: number): void;
  orderDimensions(order: DimensionOrder): void;
  orderKeys(order: KeyOrder): void;
}

export interface NeuronElements {
  readonly root: HTMLElement;
  readonly title: HTMLElement;
  readonly headName: HTMLElement;
  readonly dimensions: Field<DimensionOrder>;
  readonly keys: Field<KeyOrder>;
  readonly legend: SVGSVGElement;
  readonly formula: HTMLElement;
  readonly verdict: HTMLElement;
  readonly notes: HTMLElement;
  readonly body: HTMLElement;
}

const DIMENSIONS = [
  ["model", "In order", "Dimensions in the order of the model"],
  ["contribution", "By contribution", "Dimensions by how much they add to q · k of the pinned key (or the one with most weight)"],
] as const;
const KEYS = [
  ["position", "Position", "Keys in their order in the text"],
  ["weight", "Weight", "Keys with most weight first"],
] as const;

export function createNeuronElements(actions: NeuronActions): NeuronElements {
  const title = element("h2", { class: "attn-neuron-title" });
  const headName = element("span", { class: "attn-neuron-head-name attn-number" });
  const stepper = element(
    "div",
    { class: "attn-neuron-stepper", role: "group", "aria-label": "Head" },
    iconButton("previous", "Previous head", () => actions.stepHead(-1)),
    headName,
    iconButton("next", "Next head", () => actions.stepHead(1)),
  );
  const dimensions = choice<DimensionOrder>("Order of the dimensions", DIMENSIONS, (order) => actions.orderDimensions(order));
  const keys = choice<KeyOrder>("Order of the keys", KEYS, (order) => actions.orderKeys(order));
  const legend = select(element("div")).append<SVGSVGElement>("svg:svg").attr("class", "attn-neuron-legend").attr("role", "img").attr("height", LEGEND_HEIGHT).node() as SVGSVGElement;
  const field = (name: string, control: HTMLElement): HTMLElement =>
    element("div", { class: "attn-neuron-field" }, element("span", { class: "attn-label", "aria-hidden": "true" }, name), control);
  const bar = element("div", { class: "attn-neuron-bar" }, stepper, title);
  bar.append(legend);
  const formula = element("p", { class: "attn-neuron-formula" });
  const verdict = element("p", { class: "attn-neuron-verdict" });
  const notes = element("p", { class: "attn-neuron-notes" });
  const body = element("div", { class: "attn-neuron-body" });
  const words = element("div", { class: "attn-neuron-words" }, formula, verdict);
  const choices = element("div", { class: "attn-neuron-choices" }, notes, field("Dimensions", dimensions.element), field("Keys", keys.element));
  const root = element("div", { class: "attn-neuron" }, bar, words, choices, body);
  return { root, title, headName, dimensions, keys, legend, formula, verdict, notes, body };
}

function iconButton(name: "previous" | "next", label: string, onClick: () => void): HTMLButtonElement {
  const made = button("", { "aria-label": label, title: label }, onClick);
  made.append(icon(name));
  return made;
}

const LEGEND_BAR = 110;
const LEGEND_GAP = 34;

/** Two bars: the colours of the vectors, and those of the products. Returns the width. */
export function drawNeuronLegend(svg: SVGSVGElement, limits: { vector: number; product: number }, colours: Colours): number {
  const root = select<SVGSVGElement, unknown>(svg);
  root.selectAll("*").remove();
  let x = 4;
  for (const [name, limit] of [["q, k", limits.vector], ["q × k", limits.product]] as const) {
    const group = root.append("g").attr("transform", `translate(${x},3)`).attr("font-family", FONT_FAMILY).attr("font-size", 10);
    group.append("text").attr("y", 9).attr("fill", colours.text).text(name);
    const bar = group.append("g").attr("transform", `translate(${LEGEND_GAP},0)`);
    drawLegend(bar, LEGEND_BAR, divergingTicks(limit), (share) => colours.diverging(2 * share - 1), [], colours);
    x += LEGEND_GAP + LEGEND_BAR + 18;
  }
  root.attr("width", x).attr("height", LEGEND_HEIGHT);
  root.attr("aria-label", `Colours: vectors from −${limits.vector.toPrecision(2)} to ${limits.vector.toPrecision(2)}, products from −${limits.product.toPrecision(2)} to ${limits.product.toPrecision(2)}`);
  return x;
}
