/** The model view's own controls: the order of heads, which of them are shown, and how dark weights are. */

import { element, freshId, refill } from "../shell/dom";
import type { HeadFigure, ThumbnailScale } from "../state/selection";
import { directionText, ORDERS, SCALES } from "./model-words";
import type { ViewContext } from "./view";

export class ModelControls {
  readonly element = element("div", { class: "attn-model-controls" });
  private readonly order: HTMLSelectElement;
  private readonly direction = element("button", { type: "button", class: "attn-button", title: "Turn the order around" });
  private readonly ranked: HTMLInputElement;
  private readonly pattern: HTMLSelectElement;
  private readonly only: HTMLInputElement;
  private readonly scale: HTMLSelectElement;

  constructor(private readonly context: ViewContext) {
    const { store } = context;
    const ordering = this.group();
    this.order = this.select(ordering, "Order by", (value) => this.orderBy(value as HeadFigure));
    this.direction.addEventListener("click", () => store.select({ descending: !store.selection.descending }));
    ordering.append(this.direction);
    this.ranked = this.check(ordering, "across layers", "One list of the heads of all layers, in this order", (ranked) => this.rank(ranked));
    const filtering = this.group();
    this.pattern = this.select(filtering, "Pattern", (pattern) => store.select({ pattern }));
    this.only = this.check(filtering, "only these", "Leave out all heads without this pattern, instead of dimming them", (only) => store.select({ only }));
    const colouring = this.group("attn-model-colours");
    this.scale = this.select(colouring, "Shading", (value) => store.select({ modelScale: value as ThumbnailScale }));
    refill(this.order, ...ORDERS.map(([value, text]) => element("option", { value }, text)));
    refill(this.scale, ...SCALES.map(([value, text]) => element("option", { value }, text)));
  }

  /** The patterns to choose from, and what is chosen. */
  show(patterns: readonly (readonly [string, number])[]): void {
    const { order, pattern, descending, ranked, only, modelScale } = this.context.store.selection;
    const total = patterns.reduce((sum, [, count]) => sum + count, 0);
    const options = patterns.map(([name, count]) => element("option", { value: name }, `${name} (${count})`));
    refill(this.pattern, element("option", { value: "" }, `all (${total})`), ...options);
    // A pattern from a link may be one that no head here has.
    if (!patterns.some(([name]) => name === pattern) && pattern !== "") {
      this.pattern.append(element("option", { value: pattern }, `${pattern} (0)`));
    }
    this.order.value = order;
    this.pattern.value = pattern;
    this.scale.value = modelScale;
    this.direction.textContent = directionText(order, descending);
    this.direction.hidden = order === "number";
    this.ranked.checked = ranked;
    this.only.checked = only;
    this.only.closest("label")!.hidden = pattern === "";
  }

  /** Of the sharpness that most ask for, the largest come first; of all other figures the smallest. */
  private orderBy(order: HeadFigure): void {
    const { ranked } = this.context.store.selection;
    this.context.store.select({ order, descending: order === "maxWeight", ranked: ranked && order !== "number" });
  }

  /** A list of all heads by their numbers would be what is there already. */
  private rank(ranked: boolean): void {
    const { order } = this.context.store.selection;
    this.context.store.select({ ranked, ...(ranked && order === "number" ? { order: "entropy" as const, descending: false } : {}) });
  }

  private group(name = ""): HTMLElement {
    const made = element("div", { class: `attn-model-group ${name}`.trim() });
    this.element.append(made);
    return made;
  }

  private select(parent: HTMLElement, label: string, onChange: (value: string) => void): HTMLSelectElement {
    const id = freshId("model");
    const made = element("select", { class: "attn-select", id });
    made.addEventListener("change", () => onChange(made.value));
    parent.append(element("label", { class: "attn-model-label attn-muted", for: id }, label), made);
    return made;
  }

  private check(parent: HTMLElement, label: string, title: string, onChange: (on: boolean) => void): HTMLInputElement {
    const made = element("input", { type: "checkbox" });
    made.addEventListener("change", () => onChange(made.checked));
    parent.append(element("label", { class: "attn-model-check", title }, made, label));
    return made;
  }
}

