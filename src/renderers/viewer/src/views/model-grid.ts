/** The grid of layers and heads, of which only the layers in the window exist. */

import { visibleRows } from "../draw/token-column-rows";
import { thumbnailGrid, type ThumbnailGrid } from "../draw/thumbnails";
import { element, freshId, refill } from "../shell/dom";
import { ModelRow, type GridLine } from "./model-row";
import type { HeadPlace, ModelTiles } from "./model-tiles";
import type { ViewContext } from "./view";

const HEADER_HEIGHT = 24;
const NARROW_LABEL = 34;
const WIDE_LABEL = 112;
const MARGIN = 14;

export class ModelGrid {
  readonly element = element("div", { class: "attn-overview-grid", role: "grid", tabindex: 0 });
  grid: ThumbnailGrid = { side: 0, gap: 0 };
  lines: readonly GridLine[] = [];
  private readonly header = element("div", { class: "attn-model-header", role: "row", "aria-rowindex": 1 });
  private readonly body = element("div", { class: "attn-model-body", role: "rowgroup" });
  private readonly rows = new Map<number, ModelRow>();
  private readonly id = freshId("head");
  private cursor: HeadPlace | null = null;

  constructor(
    private readonly context: ViewContext,
    private readonly tiles: ModelTiles,
  ) {
    this.element.append(element("div", { role: "rowgroup", class: "attn-model-top" }, this.header), this.body);
  }

  /** Builds the grid anew for these layers, in a window of which `spare` pixels of width are taken. */
  show(lines: readonly GridLine[], spare: number): void {
    this.lines = lines;
    const heads = Math.max(0, ...lines.map((line) => line.heads.length));
    const label = lines.some((line) => line.label !== "" && line.label !== String(line.info.index)) ? WIDE_LABEL : NARROW_LABEL;
    const { clientWidth, clientHeight } = this.element;
    const room = { width: clientWidth - label - spare - 2 * MARGIN, height: clientHeight - HEADER_HEIGHT - MARGIN };
    this.grid = thumbnailGrid({ ...room, layers: lines.length, heads });
    this.element.style.setProperty("--attn-label", `${label}px`);
    this.element.setAttribute("aria-rowcount", String(lines.length + 1));
    this.element.setAttribute("aria-colcount", String(heads + 1));
    this.writeHeader(heads);
    const step = this.grid.side + this.grid.gap;
    this.body.style.height = `${lines.length * step}px`;
    this.body.style.width = `${label + heads * step}px`;
    for (const row of this.rows.values()) row.element.remove();
    this.rows.clear();
    this.scroll();
  }

  /** Brings the rows of the window into being; returns the layers that they show. */
  scroll(): number[] {
    const { first, last } = this.window();
    for (const [place, row] of this.rows) {
      if (place >= first && place < last) continue;
      row.element.remove();
      this.rows.delete(place);
    }
    for (let place = first; place < last; place++) {
      if (!this.rows.has(place)) this.addRow(place);
    }
    return this.lines.slice(first, last).map((line) => line.layer);
  }

  paint(layer: number): void {
    for (const row of this.rows.values()) {
      if (row.line.layer === layer) row.paint(this.tiles);
    }
  }

  paintAll(): void {
    for (const row of this.rows.values()) row.paint(this.tiles);
  }

  mark(cursor: HeadPlace | null): void {
    this.cursor = cursor;
    for (const row of this.rows.values()) row.mark(cursor?.layer === row.line.layer ? cursor.head : null);
    const there = cursor !== null && [...this.rows.values()].some((row) => row.line.layer === cursor.layer);
    if (there) this.element.setAttribute("aria-activedescendant", `${this.id}-${cursor.layer}-${cursor.head}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  /** Brings a row and column into the window with the least movement. */
  reveal(row: number, column: number): void {
    const { side, gap } = this.grid;
    const { element: window, body } = this;
    const top = row * (side + gap);
    const left = column * (side + gap);
    const room = window.clientHeight - HEADER_HEIGHT;
    const across = window.clientWidth - (body.firstElementChild?.firstElementChild?.clientWidth ?? 0);
    window.scrollTop = Math.min(top, Math.max(window.scrollTop, top + side - room));
    window.scrollLeft = Math.min(left, Math.max(window.scrollLeft, left + side + 2 * MARGIN - across));
  }

  /** The head whose cell an event comes from. */
  headAt(target: EventTarget | null): HeadPlace | null {
    const cell = target instanceof Element ? target.closest(".attn-model-cell") : null;
    const found = [...this.rows.values()].find((row) => cell !== null && row.element.contains(cell));
    const column = Number(cell?.getAttribute("aria-colindex")) - 2;
    const head = found?.line.heads[column];
    return found === undefined || head === undefined ? null : { layer: found.line.layer, head };
  }

  /** The row and column of a head. */
  placeOf({ layer, head }: HeadPlace): { row: number; column: number } | null {
    const row = this.lines.findIndex((line) => line.layer === layer);
    const column = this.lines[row]?.heads.indexOf(head) ?? -1;
    return column < 0 ? null : { row, column };
  }

  private window(): { first: number; last: number } {
    const rowHeight = this.grid.side + this.grid.gap;
    const height = Math.max(0, this.element.clientHeight - HEADER_HEIGHT);
    return visibleRows({ count: this.lines.length, rowHeight, height }, this.element.scrollTop);
  }

  private addRow(place: number): void {
    const line = this.lines[place];
    if (line === undefined) return;
    const row = new ModelRow(this.context, line, this.grid, place, this.id);
    this.rows.set(place, row);
    row.mark(this.cursor?.layer === line.layer ? this.cursor.head : null);
    row.paint(this.tiles);
    this.body.append(row.element);
  }

  /** Numbers of heads, or ranks where each layer has an order of its own. */
  private writeHeader(heads: number): void {
    const { order } = this.context.store.selection;
    const step = this.grid.side + this.grid.gap;
    const numbers = this.lines.find((line) => line.info.heads.length === heads)?.info.heads ?? [];
    const corner = element("div", { class: "attn-model-corner attn-muted", role: "columnheader" }, "Layer");
    const names = Array.from({ length: heads }, (_, column) => {
      const number = order === "number" ? String(numbers[column] ?? column) : `${column + 1}.`;
      const words = order === "number" ? `Head ${number}` : `Place ${column + 1} by ${order}`;
      const name = element("div", { class: "attn-model-head attn-number", role: "columnheader", title: words, "aria-label": words }, number);
      name.style.width = `${step}px`;
      if (order === "number") name.style.setProperty("--attn-head", this.context.colours().head(column, heads));
      return name;
    });
    refill(this.header, corner, ...names);
  }
}
