/** The grid of heads, of which only the rows in the window exist. */

import { rowStep, type ThumbnailGrid } from "../draw/thumbnails";
import { visibleRows } from "../draw/token-column-rows";
import { element, freshId, refill } from "../shell/dom";
import { HEADER_HEIGHT, MARGIN } from "./model-layout";
import { hasCaptions, type GridCell, type GridLine } from "./model-lines";
import { ModelRow } from "./model-row";
import type { HeadPlace, ModelTiles } from "./model-tiles";
import { directionText } from "./model-words";
import type { ViewContext } from "./view";

export class ModelGrid {
  readonly element = element("div", { class: "attn-overview-grid", role: "grid", tabindex: 0 });
  grid: ThumbnailGrid = { side: 0, gap: 0, caption: 0 };
  lines: readonly GridLine[] = [];
  private readonly header = element("div", { class: "attn-model-header", role: "row", "aria-rowindex": 1 });
  private readonly body = element("div", { class: "attn-model-body", role: "rowgroup" });
  private readonly rows = new Map<number, ModelRow>();
  private readonly id = freshId("head");
  private cursor: HeadPlace | null = null;
  private label = 0;
  /** Kept, as asking the browser right after a change would have it lay out the page at once. */
  private height = 0;
  private scrolled = 0;

  constructor(
    private readonly context: ViewContext,
    private readonly tiles: ModelTiles,
  ) {
    this.element.append(element("div", { role: "rowgroup", class: "attn-model-top" }, this.header), this.body);
  }

  /** Builds the grid anew, in a window of `height`; names of rows are `label` pixels wide. */
  show(lines: readonly GridLine[], grid: ThumbnailGrid, label: number, height: number): void {
    this.height = height;
    this.lines = lines;
    this.grid = grid;
    this.label = label;
    const columns = Math.max(0, ...lines.map((line) => line.cells.length));
    this.element.style.setProperty("--attn-label", `${label}px`);
    this.element.setAttribute("aria-rowcount", String(lines.length + 1));
    this.element.setAttribute("aria-colcount", String(columns + 1));
    this.writeHeader(columns);
    this.body.style.height = `${lines.length * rowStep(grid)}px`;
    this.body.style.width = `${label + columns * (grid.side + grid.gap)}px`;
    for (const row of this.rows.values()) row.element.remove();
    this.rows.clear();
  }

  /** The window has been scrolled, or its size is another one. */
  measure(): void {
    this.height = this.element.clientHeight;
    this.scrolled = this.element.scrollTop;
  }

  /** Brings the rows of the window into being; returns the layers whose heads they show. */
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
    return [...new Set(this.lines.slice(first, last).flatMap((line) => line.cells.map((cell) => cell.layer)))];
  }

  paint(layer: number | null): void {
    for (const row of this.rows.values()) row.paint(this.tiles, layer);
  }

  mark(cursor: HeadPlace | null): void {
    this.cursor = cursor;
    for (const row of this.rows.values()) row.mark(cursor);
    const place = cursor === null ? null : this.placeOf(cursor);
    if (cursor !== null && place !== null && this.rows.has(place.row)) {
      this.element.setAttribute("aria-activedescendant", `${this.id}-${cursor.layer}-${cursor.head}`);
    } else this.element.removeAttribute("aria-activedescendant");
  }

  /** Brings a row and column into the window with the least movement. */
  reveal(row: number, column: number): void {
    const { side, gap, caption } = this.grid;
    const { element: window } = this;
    const top = row * rowStep(this.grid);
    const left = column * (side + gap);
    const room = window.clientHeight - HEADER_HEIGHT;
    const across = window.clientWidth - this.label;
    window.scrollTop = row === 0 ? 0 : Math.min(top, Math.max(window.scrollTop, top + side + caption + MARGIN - room));
    window.scrollLeft = Math.min(left, Math.max(window.scrollLeft, left + side + 2 * MARGIN - across));
    this.measure();
  }

  /** The head whose cell an event comes from. */
  headAt(target: EventTarget | null): HeadPlace | null {
    const found = target instanceof Element ? target.closest(".attn-model-cell") : null;
    const row = [...this.rows.values()].find((candidate) => found !== null && candidate.element.contains(found));
    const cell: GridCell | undefined = row?.line.cells[Number(found?.getAttribute("aria-colindex")) - 2];
    return cell === undefined ? null : { layer: cell.layer, head: cell.head };
  }

  /** Whether a head is in the window's right half, and whether in its lower one. */
  halfOf(place: HeadPlace): { right: boolean; low: boolean } {
    const found = this.placeOf(place) ?? { row: 0, column: 0 };
    const { element: window, grid } = this;
    const x = this.label + (found.column + 0.5) * (grid.side + grid.gap) - window.scrollLeft;
    const y = HEADER_HEIGHT + (found.row + 0.5) * rowStep(grid) - window.scrollTop;
    return { right: x > window.clientWidth / 2, low: y > window.clientHeight / 2 };
  }

  /** The row and column of a head. */
  placeOf({ layer, head }: HeadPlace): { row: number; column: number } | null {
    const isHere = (cell: GridCell): boolean => cell.layer === layer && cell.head === head;
    const row = this.lines.findIndex((line) => line.cells.some(isHere));
    const column = this.lines[row]?.cells.findIndex(isHere) ?? -1;
    return column < 0 ? null : { row, column };
  }

  private window(): { first: number; last: number } {
    const height = Math.max(0, this.height - HEADER_HEIGHT);
    return visibleRows({ count: this.lines.length, rowHeight: rowStep(this.grid), height }, this.scrolled);
  }

  private addRow(place: number): void {
    const line = this.lines[place];
    if (line === undefined) return;
    const row = new ModelRow(this.context, line, this.grid, place, this.id);
    this.rows.set(place, row);
    row.mark(this.cursor);
    row.paint(this.tiles, null);
    this.body.append(row.element);
  }

  /** Numbers of heads; where each row has an order of its own, what that order is. */
  private writeHeader(columns: number): void {
    const { selection } = this.context.store;
    const { order, ranked, descending } = selection;
    const corner = element("div", { class: "attn-model-corner attn-muted", role: "columnheader" }, ranked ? "Rank" : "Layer");
    if (hasCaptions(this.context.trace, selection)) {
      const words = order === "number" ? "" : `${directionText(order, descending)} →`;
      refill(this.header, corner, element("div", { class: "attn-model-order attn-muted", role: "columnheader" }, words));
      return;
    }
    const info = this.lines.find((line) => line.cells.length === columns)?.cells[0]?.info;
    const names = Array.from({ length: columns }, (_, column) => this.headHeader(column, columns, String(info?.heads[column] ?? column)));
    refill(this.header, corner, ...names);
  }

  private headHeader(column: number, columns: number, number: string): HTMLElement {
    const words = `Head ${number}`;
    const name = element("div", { class: "attn-model-head attn-number", role: "columnheader", title: words, "aria-label": words }, number);
    name.style.width = `${this.grid.side}px`;
    name.style.marginInlineEnd = `${this.grid.gap}px`;
    name.style.setProperty("--attn-head", this.context.colours().head(column, columns));
    return name;
  }
}
