/** The table of the neuron view: the query's vector above, a row for each key below, sink and sum at the end. */

import { divergingPalette, drawStrip } from "../draw/heatmap-diverging";
import { isolated } from "../draw/rulers";
import { labelOf, shortened } from "../data/tokens";
import { element, freshId, setAttributes } from "../shell/dom";
import { columnStarts, columnWidths, gridTemplate, signed, type ColumnWidths, type Step } from "./neuron-columns";
import type { NeuronData } from "./neuron-data";
import { createKeyRow, createStrip, fillKeyRow, spanOf, type KeyRowParts, type RowStyle } from "./neuron-row";
import { revealed, RowKeeper, rowWindow, type RowWindow } from "./neuron-window";
import type { ViewContext } from "./view";

export const KEY_ROW = 24;

/** A place in the table: a row of the list, a pixel of the strips, each null where the pointer is elsewhere. */
export interface TablePlace {
  readonly row: number | null;
  readonly pixel: number | null;
}

export interface TableMarks {
  readonly active: number | null;
  readonly pinned: number | null;
  readonly pixel: number | null;
  readonly found: ReadonlySet<number>;
}

export class NeuronTable {
  readonly element: HTMLElement;
  readonly scroller = element("div", { class: "attn-neuron-table", role: "grid", tabindex: 0, "aria-label": "Keys: from their vectors to their weights" });
  widths: ColumnWidths = columnWidths(0, 1, 1);
  keys: readonly number[] = [];
  style: RowStyle | null = null;
  private readonly holder = element("div", { class: "attn-neuron-holder", role: "rowgroup" });
  private readonly queryName = element("div", { class: "attn-neuron-key", role: "rowheader" });
  private readonly queryStrip = createStrip();
  private readonly head: HTMLElement;
  private readonly foot = element("div", { class: "attn-neuron-foot", role: "rowgroup" });
  /** Marks of one dimension: in the strips of the keys, and in those of the products. */
  private readonly lines = [0, 1].map(() => element("div", { class: "attn-neuron-dimension", "aria-hidden": "true", hidden: true }));
  private readonly rows: RowKeeper<KeyRowParts>;
  private readonly id = freshId("key");
  private marks: TableMarks = { active: null, pinned: null, pixel: null, found: new Set() };

  constructor(
    private readonly context: ViewContext,
    private readonly steps: readonly Step[],
  ) {
    this.rows = new RowKeeper(this.holder, KEY_ROW, () => createKeyRow(steps.length), (parts, row) => this.fill(parts, row));
    this.head = this.createHead();
    const content = element("div", { class: "attn-neuron-content" }, this.head, this.holder, this.foot, ...this.lines);
    this.scroller.append(content);
    this.scroller.addEventListener("scroll", () => this.draw(false));
    this.element = this.scroller;
  }

  hasSteps(steps: readonly Step[]): boolean {
    return steps.length === this.steps.length && steps.every((step, place) => step.title === this.steps[place]?.title);
  }

  /** Shows one query's numbers. `keys` are the positions of the rows, `dimensions` the order inside the strips. */
  show(data: NeuronData, keys: readonly number[], dimensions: readonly number[]): void {
    const { context, steps } = this;
    const colours = context.colours();
    const layer = context.layer();
    this.keys = keys;
    this.style = {
      data,
      steps,
      dimensions,
      colours,
      spans: steps.map((step) => spanOf(step.values(data), keys)),
      palette: divergingPalette(colours),
      weightColour: colours.head(data.head, layer.heads.length),
      format: (weight) => context.format(weight),
    };
    this.layOut();
    setAttributes(this.scroller, { "aria-rowcount": keys.length + 1 });
    this.queryName.textContent = `q of “${isolated(shortened(this.labelOf(data.query, "query"), 60))}”`;
    drawStrip(this.queryStrip, data.queryVector, dimensions, data.vectorLimit, this.style.palette);
    this.queryStrip.setAttribute("aria-label", `query vector of ${this.labelOf(data.query, "query").slice(0, 60)}`);
    this.fillFoot(data);
    this.draw(true);
  }

  layOut(): void {
    const { scroller, steps } = this;
    if (this.style === null) return;
    this.widths = columnWidths(scroller.clientWidth - 24, this.style.data.headDim, steps.length);
    const { width } = columnStarts(this.widths, steps.length);
    scroller.style.setProperty("--attn-neuron-columns", gridTemplate(this.widths, steps.length));
    scroller.style.setProperty("--attn-neuron-width", `${width}px`);
    this.holder.style.height = `${this.keys.length * KEY_ROW}px`;
    // Fewer pixels than numbers: neighbours are blended, as leaving some out would hide them.
    scroller.toggleAttribute("data-blended", this.widths.strip < this.style.data.headDim);
    this.draw(false);
  }

  /** The rows that can be seen, and some beside them. */
  window(): RowWindow {
    const height = this.scroller.clientHeight;
    return rowWindow(this.keys.length, KEY_ROW, this.scroller.scrollTop, height);
  }

  draw(again: boolean): void {
    this.rows.show(this.window(), again);
    this.mark(this.marks);
  }

  mark(marks: TableMarks): void {
    this.marks = marks;
    this.rows.each((parts, row) => {
      const key = this.keys[row] ?? -1;
      setAttributes(parts.element, { "data-active": key === marks.active, "data-pinned": key === marks.pinned, "data-found": marks.found.has(key) });
    });
    const row = marks.active === null ? -1 : this.keys.indexOf(marks.active);
    setAttributes(this.scroller, { "aria-activedescendant": this.rows.at(row) === undefined ? null : `${this.id}-${row}` });
    this.drawDimension(marks.pixel);
  }

  reveal(row: number): void {
    const room = this.scroller.clientHeight - this.head.offsetHeight - this.foot.offsetHeight;
    this.scroller.scrollTop = revealed(row, KEY_ROW, this.scroller.scrollTop, room);
    this.draw(false);
  }

  /** What is under a point of the window. */
  placeAt(event: MouseEvent): TablePlace {
    const box = this.holder.getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top) / KEY_ROW);
    const overHead = event.clientY < this.head.getBoundingClientRect().bottom;
    const overFoot = event.clientY >= this.foot.getBoundingClientRect().top;
    const starts = columnStarts(this.widths, this.steps.length);
    const x = event.clientX - box.left;
    const inside = [starts.k, starts.product].find((start) => x >= start && x < start + this.widths.strip);
    const count = this.style?.data.headDim ?? 1;
    const pixel = inside === undefined ? null : Math.min(count - 1, Math.floor(((x - inside) / this.widths.strip) * count));
    return { row: overHead || overFoot || row < 0 || row >= this.keys.length ? null : row, pixel: overFoot ? null : pixel };
  }

  /** The middle of a row, in the window. */
  clientOf(row: number): [number, number] {
    const box = this.holder.getBoundingClientRect();
    return [box.left + this.widths.label, box.top + (row + 1) * KEY_ROW];
  }

  labelOf(position: number, side: "query" | "key"): string {
    const axis = side === "query" ? this.context.queryAxis() : this.context.keyAxis();
    return labelOf(axis, this.context.store.selection.item, position);
  }

  private fill(parts: KeyRowParts, row: number): void {
    const key = this.keys[row];
    if (this.style === null || key === undefined) return;
    fillKeyRow(parts, key, this.labelOf(key, "key"), this.style);
    setAttributes(parts.element, { id: `${this.id}-${row}`, "aria-rowindex": row + 2 });
  }

  private createHead(): HTMLElement {
    const strip = element("div", { class: "attn-neuron-strip", role: "gridcell" }, this.queryStrip);
    const query = element("div", { class: "attn-neuron-row attn-neuron-query", role: "row" }, this.queryName, strip);
    const title = (text: string, explanation: string): HTMLElement => element("div", { role: "columnheader", title: explanation }, text);
    const titles = element(
      "div",
      { class: "attn-neuron-row attn-neuron-titles", role: "row" },
      title("Key token", "Each token that the query may attend to"),
      title("k", "The key's vector as this layer multiplied it, with the colours of the query's above"),
      title("q × k", "Query times key, element by element; their sum is q · k"),
      ...this.steps.map((step) => title(step.title, step.explanation)),
      title("softmax: weight", "exp(score), divided by the sum over all keys"),
    );
    return element("div", { class: "attn-neuron-head", role: "rowgroup" }, query, titles);
  }

  private fillFoot(data: NeuronData): void {
    const sum = data.row.weights.reduce((total, weight) => total + weight, 0);
    const listed = this.keys.reduce((total, key) => total + (data.row.weights[key] ?? 0), 0);
    const lines: HTMLElement[] = [];
    if (data.sink !== null) lines.push(this.footLine("sink (no token)", signed(data.sink), data.row.sinkWeight));
    if (Math.abs(sum - listed) > 1e-9) lines.push(this.footLine("keys not listed", "", sum - listed));
    lines.push(this.footLine(data.sink === null ? "sum" : "sum with sink", "", sum + data.row.sinkWeight));
    this.foot.replaceChildren(...lines);
  }

  private footLine(name: string, score: string, weight: number): HTMLElement {
    const blank = (text = ""): HTMLElement => element("div", { role: "gridcell", class: "attn-number" }, text);
    const scores = this.steps.map((_, place) => blank(place === this.steps.length - 1 ? score : ""));
    const number = element("span", { class: "attn-number" }, this.context.format(weight));
    const last = element("div", { class: "attn-neuron-weight", role: "gridcell" }, element("span", { class: "attn-neuron-track" }), number);
    return element("div", { class: "attn-neuron-row", role: "row" }, element("div", { role: "rowheader" }, name), blank(), blank(), ...scores, last);
  }

  private drawDimension(pixel: number | null): void {
    const starts = columnStarts(this.widths, this.steps.length);
    const count = this.style?.data.headDim ?? 1;
    const wide = this.widths.strip / count;
    [starts.k, starts.product].forEach((start, place) => {
      const line = this.lines[place];
      if (line === undefined) return;
      line.hidden = pixel === null;
      line.style.height = `${this.head.offsetHeight + this.keys.length * KEY_ROW}px`;
      line.style.left = `${start + (pixel ?? 0) * wide}px`;
      line.style.width = `${Math.max(2, wide)}px`;
    });
  }
}
