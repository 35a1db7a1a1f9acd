/** The model view's own controls: by which figure heads are ordered, which of them stand out, and the colours' meaning. */

import { create } from "d3-selection";
import { drawLegend, LEGEND_HEIGHT } from "../draw/legend";
import { textGroup } from "../draw/rulers-draw";
import { element, freshId, refill } from "../shell/dom";
import type { HeadFigure } from "../state/selection";
import { LEGEND_CAPTION, legendTicks, ORDERS } from "./model-words";
import type { ViewContext } from "./view";

const LEGEND_WIDTH = 150;
const LEGEND_MARGIN = 6;

export class ModelControls {
  readonly element = element("div", { class: "attn-model-controls" });
  private readonly order: HTMLSelectElement;
  private readonly pattern: HTMLSelectElement;
  private readonly legend = element("div", { class: "attn-model-legend" });

  constructor(private readonly context: ViewContext) {
    const { store } = context;
    this.order = this.select("Order heads by", (value) => store.select({ order: value as HeadFigure }));
    this.pattern = this.select("Pattern", (pattern) => store.select({ pattern }));
    refill(this.order, ...ORDERS.map(([value, text]) => element("option", { value }, text)));
    this.element.append(this.legend);
  }

  /** The patterns to choose from, and what is chosen. */
  show(patterns: readonly (readonly [string, number])[]): void {
    const { order, pattern } = this.context.store.selection;
    const total = patterns.reduce((sum, [, count]) => sum + count, 0);
    const options = patterns.map(([name, count]) => element("option", { value: name }, `${name} (${count})`));
    refill(this.pattern, element("option", { value: "" }, `all (${total})`), ...options);
    // A pattern from a link may be one that no head here has.
    if (!patterns.some(([name]) => name === pattern) && pattern !== "") {
      this.pattern.append(element("option", { value: pattern }, `${pattern} (0)`));
    }
    this.order.value = order;
    this.pattern.value = pattern;
  }

  drawLegend(): void {
    const { colours, store } = { colours: this.context.colours(), store: this.context.store };
    const svg = create("svg:svg").attr("width", LEGEND_WIDTH + 2 * LEGEND_MARGIN).attr("height", LEGEND_HEIGHT).attr("aria-hidden", "true");
    const group = textGroup(svg.node() as SVGSVGElement).attr("transform", `translate(${LEGEND_MARGIN},2)`);
    drawLegend(group, LEGEND_WIDTH, legendTicks(store.selection.scale), (share) => colours.heat(share), [], colours);
    refill(this.legend, svg.node() as SVGSVGElement, element("span", { class: "attn-muted" }, LEGEND_CAPTION));
  }

  private select(label: string, onChange: (value: string) => void): HTMLSelectElement {
    const id = freshId("model");
    const made = element("select", { class: "attn-select", id });
    made.addEventListener("change", () => onChange(made.value));
    this.element.append(element("label", { class: "attn-model-label attn-muted", for: id }, label), made);
    return made;
  }
}
