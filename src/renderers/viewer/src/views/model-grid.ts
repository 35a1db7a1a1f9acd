/** The grid of thumbnails: a row for each layer, a button for each head; pictures are drawn for rows in sight. */

import { heatPalette, heatPicture, largest } from "../draw/heatmap";
import { element, refill, setAttributes } from "../shell/dom";
import type { LayerInfo } from "../source/trace-info";
import { hasPattern, orderedHeads, thumbnailSize, type ThumbnailSize } from "./model-order";
import { headSentence } from "./model-words";
import type { ViewContext } from "./view";

/** Room for the layers' numbers at the left, and for the words above and below a row's pictures. */
const NAMES_WIDTH = 64;
const CAPTION_HEIGHT = 16;

export interface Cell {
  readonly place: number;
  readonly head: number;
  readonly button: HTMLButtonElement;
  readonly canvas: HTMLCanvasElement;
}

interface Row {
  readonly place: number;
  readonly element: HTMLElement;
  readonly cells: readonly Cell[];
  drawn: boolean;
}

export class ModelGrid {
  readonly element = element("div", { class: "attn-overview-grid", role: "grid", "aria-label": "All heads of the model" });
  private rows: readonly Row[] = [];
  private ticket = 0;
  private size: ThumbnailSize = { side: 64, gap: 6 };

  constructor(private readonly context: ViewContext) {}

  get cells(): readonly (readonly Cell[])[] {
    return this.rows.map((row) => row.cells);
  }

  /** Builds rows and buttons for the selected item, order and filter. */
  build(width: number, height: number): void {
    this.ticket += 1;
    const { trace, store } = this.context;
    const columns = Math.max(...trace.layers.map((layer) => layer.heads.length));
    const captions = trace.layers.length * CAPTION_HEIGHT;
    this.size = thumbnailSize(width - NAMES_WIDTH - 28, height - captions - 20, columns, trace.layers.length);
    this.element.style.setProperty("--attn-side", `${this.size.side}px`);
    this.element.style.setProperty("--attn-gap", `${this.size.gap}px`);
    const parts: HTMLElement[] = [];
    this.rows = trace.groups.flatMap((group) => {
      if (group.name !== "") parts.push(element("div", { class: "attn-overview-group", role: "presentation" }, group.name));
      return group.layers.map((place) => {
        const row = this.createRow(place, store.selection.item);
        parts.push(row.element);
        return row;
      });
    });
    refill(this.element, ...parts);
    this.mark();
  }

  /** Draws the pictures of rows that are in sight of `scroller` and not drawn yet; all rows when it is null. */
  async draw(scroller: HTMLElement | null): Promise<void> {
    const ticket = this.ticket;
    const wanted = this.rows.filter((row) => !row.drawn && (scroller === null || inSight(row.element, scroller)));
    for (const row of wanted) row.drawn = true;
    for (const row of wanted) {
      await Promise.all(row.cells.map((cell) => this.drawCell(cell, ticket)));
      if (ticket !== this.ticket) return;
    }
  }

  /** Shows which head is selected, which are dimmed by the filter, and which takes the keyboard. */
  mark(): void {
    const { selection } = this.context.store;
    const current = this.cellOf(selection.layer, selection.heads[0] ?? 0) ?? this.rows[0]?.cells[0];
    for (const cell of this.rows.flatMap((row) => row.cells)) {
      const layer = this.layerAt(cell.place);
      const selected = cell.place === selection.layer && selection.heads.includes(cell.head);
      const dimmed = !hasPattern(layer, selection.item, cell.head, selection.pattern);
      setAttributes(cell.button, { "aria-selected": String(selected), "data-dimmed": dimmed, tabindex: cell === current ? 0 : -1 });
    }
  }

  cellOf(place: number, head: number): Cell | undefined {
    return this.rows.find((row) => row.place === place)?.cells.find((cell) => cell.head === head);
  }

  stop(): void {
    this.ticket += 1;
  }

  private createRow(place: number, item: number): Row {
    const layer = this.layerAt(place);
    const name = element("div", { class: "attn-overview-layer", role: "rowheader", title: layer.name }, String(layer.index));
    const heads = orderedHeads(layer, item, this.context.store.selection.order);
    const cells = heads.map((head) => this.createCell(place, layer, item, head));
    const made = element("div", { class: "attn-overview-row", role: "row" }, name, ...cells.map((cell) => cell.button));
    return { place, element: made, cells, drawn: false };
  }

  private createCell(place: number, layer: LayerInfo, item: number, head: number): Cell {
    const canvas = element("canvas", { width: 1, height: 1, "aria-hidden": "true" });
    const number = element("span", { class: "attn-overview-number", "aria-hidden": "true" }, String(layer.heads[head] ?? head));
    const label = headSentence(layer, item, head);
    const button = element("button", { type: "button", class: "attn-overview-cell", role: "gridcell", "aria-label": label }, canvas, number);
    button.style.setProperty("--attn-head", this.context.colours().head(head, layer.heads.length));
    return { place, head, button, canvas };
  }

  private async drawCell(cell: Cell, ticket: number): Promise<void> {
    const layer = this.layerAt(cell.place);
    const { item, scale } = this.context.store.selection;
    const pixels = Math.max(16, Math.round(this.size.side * Math.min(2, globalThis.devicePixelRatio || 1)));
    const tile = await this.context.reader.block({
      series: this.context.reader.headSeries(cell.place, cell.head),
      item: Math.min(item, layer.items - 1),
      queries: { start: 0, stop: layer.queries },
      keys: { start: 0, stop: layer.keys },
      maxRows: pixels,
      maxColumns: pixels,
    });
    if (ticket !== this.ticket) return;
    const range = { scale, max: largest(tile.values) };
    const picture = heatPicture(tile.values, tile.rows, tile.columns, range, heatPalette(this.context.colours()));
    cell.canvas.width = tile.columns;
    cell.canvas.height = tile.rows;
    cell.canvas.getContext("2d")?.drawImage(picture, 0, 0);
  }

  private layerAt(place: number): LayerInfo {
    const layer = this.context.trace.layers[place];
    if (layer === undefined) throw new Error(`there is no layer ${place}`);
    return layer;
  }
}

function inSight(row: HTMLElement, scroller: HTMLElement): boolean {
  const { top, bottom } = row.getBoundingClientRect();
  const view = scroller.getBoundingClientRect();
  return bottom >= view.top - view.height && top <= view.bottom + view.height;
}
