/** One row of the model view: its name, a canvas with all of its small pictures, and a cell over each of them. */

import { rowStep, type ThumbnailGrid } from "../draw/thumbnails";
import { element } from "../shell/dom";
import type { GridCell, GridLine } from "./model-lines";
import { cellName, headName } from "./model-words";
import { thumbnail, type HeadPlace, type ModelTiles } from "./model-tiles";
import type { ViewContext } from "./view";

export class ModelRow {
  readonly element: HTMLElement;
  private readonly canvas: HTMLCanvasElement;
  private readonly cells: readonly HTMLElement[];
  private readonly header: HTMLElement;

  constructor(
    private readonly context: ViewContext,
    readonly line: GridLine,
    private readonly grid: ThumbnailGrid,
    place: number,
    id: string,
  ) {
    const { name, title, cells } = line;
    this.canvas = element("canvas", { class: "attn-model-canvas", "aria-hidden": "true" });
    this.header = element("div", { class: "attn-model-layer", role: "rowheader", title }, element("b", { class: "attn-number" }, name));
    this.header.style.height = `${grid.side}px`;
    this.cells = cells.map((cell, column) => this.createCell(cell, column, `${id}-${cell.layer}-${cell.head}`));
    const pictures = element("div", { class: "attn-model-pictures", role: "presentation" }, this.canvas, ...this.cells);
    this.element = element("div", { class: "attn-model-row", role: "row", "aria-rowindex": place + 2 }, this.header, pictures);
    this.element.style.height = `${grid.side + grid.caption}px`;
    this.element.style.transform = `translateY(${place * rowStep(grid)}px)`;
    this.resize();
  }

  /** Draws the pictures whose numbers are there: all of them, or those of one layer. */
  paint(tiles: ModelTiles, layer: number | null): void {
    const { side, gap } = this.grid;
    const scale = pixelsPerPixel();
    const pen = this.canvas.getContext("2d");
    this.line.cells.forEach((cell, column) => {
      if (layer !== null && cell.layer !== layer) return;
      const tile = tiles.tile(cell);
      if (tile === undefined) return;
      pen?.putImageData(thumbnail(tile, Math.round(side * scale), this.context), Math.round(column * (side + gap) * scale), 0);
    });
  }

  /** `cursor`: the head with the pointer or the keyboard. */
  mark(cursor: HeadPlace | null): void {
    const { layer, heads } = this.context.store.selection;
    this.header.classList.toggle("attn-chosen", this.line.layer === layer);
    this.cells.forEach((element, column) => {
      const cell = this.line.cells[column]!;
      const some = heads.length < cell.info.heads.length;
      const chosen = some && cell.layer === layer && heads.includes(cell.head);
      element.classList.toggle("attn-chosen", chosen);
      element.classList.toggle("attn-cursor", cursor?.layer === cell.layer && cursor.head === cell.head);
      element.setAttribute("aria-selected", String(chosen));
    });
  }

  private resize(): void {
    const { side, gap } = this.grid;
    const scale = pixelsPerPixel();
    this.canvas.width = Math.round((side + gap) * this.cells.length * scale);
    this.canvas.height = Math.round(side * scale);
    this.canvas.style.width = `${this.canvas.width / scale}px`;
    this.canvas.style.height = `${side}px`;
  }

  private createCell(cell: GridCell, column: number, id: string): HTMLElement {
    const { store, trace } = this.context;
    const { side, gap, caption } = this.grid;
    const name = cell.dimmed ? `${headName(trace, cell.layer, cell.head)}: not of the pattern asked for` : cellName(trace, cell.layer, store.selection.item, cell.head);
    const made = element("div", { class: "attn-model-cell", role: "gridcell", id, "aria-colindex": column + 2, "aria-label": name });
    if (caption > 0) made.append(this.createCaption(cell));
    made.classList.toggle("attn-dimmed", cell.dimmed);
    made.style.left = `${column * (side + gap)}px`;
    made.style.width = made.style.height = `${side}px`;
    made.style.setProperty("--attn-head", this.context.colours().head(cell.head, cell.info.heads.length));
    return made;
  }

  /** Below the picture, so that it covers nothing of it. */
  private createCaption({ name, figure }: GridCell): HTMLElement {
    const number = element("b", { class: "attn-number" }, name);
    const value = figure === "" ? null : element("span", { class: "attn-muted attn-number", title: figure }, figure);
    const made = element("div", { class: "attn-model-caption", "aria-hidden": "true" }, number, value);
    made.style.width = `${this.grid.side + this.grid.gap - 2}px`;
    return made;
  }
}

function pixelsPerPixel(): number {
  return Math.min(2, window.devicePixelRatio || 1);
}
