/** The model view: every head of every layer as a thumbnail, to find the ones worth opening. */

import { element, freshId, refill } from "../shell/dom";
import { VIEW_NAMES, type HeadFigure, type Selection, type ViewName } from "../state/selection";
import { ModelGrid, type Cell } from "./model-grid";
import { patternsIn } from "./model-order";
import { exportModel } from "./model-svg";
import { headRows, headSentence, headTitle, MODEL_HELP } from "./model-words";
import type { View, ViewContext } from "./view";

const ORDERS: readonly (readonly [HeadFigure, string])[] = [
  ["number", "Number"],
  ["entropy", "Entropy, highest first"],
  ["distance", "Distance, furthest first"],
  ["pattern", "Pattern"],
];
const EXPORT_SIDE = 64;
/** A change of these means other thumbnails; of any other field, other marks on the same. */
const NEW_PICTURES: readonly (keyof Selection)[] = ["item", "order", "special", "sink", "scale"];

export function createModelView(): View {
  let view: ModelView | null = null;
  return {
    name: "model",
    title: "Model",
    help: MODEL_HELP,
    mount(host, context) {
      view = new ModelView(host, context);
    },
    redraw: () => view?.load(),
    unmount() {
      view?.destroy();
      view = null;
    },
    toSvg: () => (view === null ? Promise.reject(new Error("the model view is not shown")) : view.toSvg()),
  };
}

class ModelView {
  private readonly grid: ModelGrid;
  private readonly scroller: HTMLElement;
  private readonly order = element("select", {});
  private readonly pattern = element("select", {});
  private readonly stop: () => void;

  constructor(
    host: HTMLElement,
    private readonly context: ViewContext,
  ) {
    this.grid = new ModelGrid(context);
    this.scroller = element("div", { class: "attn-overview-scroller" }, this.grid.element);
    const note = element("span", { class: "attn-muted" }, "Each map goes from 0 to its own largest weight.");
    const bar = element("div", { class: "attn-overview-bar" }, ...labelled("Order heads by", this.order), ...labelled("Pattern", this.pattern), note);
    host.append(element("div", { class: "attn-overview" }, bar, this.scroller));
    refill(this.order, ...ORDERS.map(([value, text]) => element("option", { value }, text)));
    this.order.addEventListener("change", () => context.store.select({ order: this.order.value as HeadFigure }));
    this.pattern.addEventListener("change", () => context.store.select({ pattern: this.pattern.value }));
    this.scroller.addEventListener("scroll", () => this.drawInSight(), { passive: true });
    this.listen();
    this.stop = context.store.onSelection((next, before) => this.onSelection(next, before));
    this.load();
  }

  /** Builds everything anew for the room there is. */
  load(): void {
    const { trace, store } = this.context;
    const names = patternsIn(trace, store.selection.item);
    refill(this.pattern, element("option", { value: "" }, "All"), ...names.map((name) => element("option", { value: name }, name)));
    this.order.value = store.selection.order;
    this.pattern.value = store.selection.pattern;
    this.context.explain("");
    this.grid.build(this.scroller.clientWidth, this.scroller.clientHeight);
    this.drawInSight();
  }

  async toSvg(): Promise<SVGSVGElement> {
    await this.grid.draw(null);
    return exportModel(this.context, this.grid.cells, EXPORT_SIDE);
  }

  destroy(): void {
    this.stop();
    this.grid.stop();
    this.context.tooltip.hide();
  }

  private onSelection(next: Selection, before: Selection): void {
    if (NEW_PICTURES.some((field) => next[field] !== before[field])) return this.load();
    this.pattern.value = next.pattern;
    this.grid.mark();
  }

  private drawInSight(): void {
    this.context.drawing(this.grid.draw(this.scroller).catch((error: unknown) => this.context.fail(error)));
  }

  private listen(): void {
    const { element: grid } = this.grid;
    grid.addEventListener("pointerover", (event) => this.point(this.cellAt(event.target), event));
    grid.addEventListener("pointermove", (event) => this.point(this.cellAt(event.target), event));
    grid.addEventListener("pointerleave", () => this.leave());
    grid.addEventListener("focusin", (event) => this.announce(this.cellAt(event.target)));
    grid.addEventListener("click", (event) => this.open(this.cellAt(event.target), event.shiftKey));
    grid.addEventListener("keydown", (event) => this.onKey(event));
  }

  private cellAt(target: EventTarget | null): Cell | undefined {
    const button = target instanceof Element ? target.closest("button") : null;
    return this.grid.cells.flat().find((cell) => cell.button === button);
  }

  private point(cell: Cell | undefined, event: PointerEvent): void {
    const layer = cell === undefined ? undefined : this.context.trace.layers[cell.place];
    if (cell === undefined || layer === undefined) return this.leave();
    this.context.store.point({ layer: cell.place, head: cell.head });
    const rows = headRows(layer, this.context.store.selection.item, cell.head);
    this.context.tooltip.show(event.clientX, event.clientY, headTitle(layer, cell.head), rows);
  }

  private leave(): void {
    this.context.tooltip.hide();
    this.context.store.point({});
  }

  private announce(cell: Cell | undefined): void {
    const layer = cell === undefined ? undefined : this.context.trace.layers[cell.place];
    if (cell === undefined || layer === undefined) return;
    this.context.store.point({ layer: cell.place, head: cell.head });
    this.context.announce(headSentence(layer, this.context.store.selection.item, cell.head));
  }

  private open(cell: Cell | undefined, asMatrix: boolean): void {
    if (cell === undefined) return;
    const view: ViewName = VIEW_NAMES[asMatrix ? 3 : 0] ?? "head";
    this.context.store.select({ view, layer: cell.place, heads: [cell.head] });
  }

  private onKey(event: KeyboardEvent): void {
    const cell = this.cellAt(event.target);
    const rows = this.grid.cells;
    const line = rows.findIndex((row) => row.some((one) => one === cell));
    const row = rows[line];
    if (cell === undefined || row === undefined) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      return this.open(cell, event.shiftKey);
    }
    const column = row.indexOf(cell);
    const next = neighbour(rows, line, column, event.key);
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    cell.button.tabIndex = -1;
    next.button.tabIndex = 0;
    next.button.focus();
  }
}

function neighbour(rows: readonly (readonly Cell[])[], line: number, column: number, key: string): Cell | undefined {
  const row = rows[line] ?? [];
  const at = (cells: readonly Cell[] | undefined): Cell | undefined => cells?.[Math.min(column, cells.length - 1)];
  switch (key) {
    case "ArrowLeft":
      return row[column - 1];
    case "ArrowRight":
      return row[column + 1];
    case "ArrowUp":
      return at(rows[line - 1]);
    case "ArrowDown":
      return at(rows[line + 1]);
    case "Home":
      return row[0];
    case "End":
      return row.at(-1);
    default:
      return undefined;
  }
}

function labelled(text: string, select: HTMLSelectElement): [HTMLElement, HTMLElement] {
  select.id = freshId("select");
  select.className = "attn-select";
  return [element("label", { for: select.id, class: "attn-label" }, text), select];
}
