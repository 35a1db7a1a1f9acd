/** One layer of the model view: its name, a canvas with all of its small pictures, and a cell over each of them. */

import type { ThumbnailGrid } from "../draw/thumbnails";
import { element } from "../shell/dom";
import type { LayerInfo } from "../source/trace-info";
import { cellName, headName } from "./model-words";
import { thumbnail, type ModelTiles } from "./model-tiles";
import type { ViewContext } from "./view";

/** A layer and its heads in the order in which they are shown. */
export interface GridLine {
  /** Place in the trace's layers. */
  readonly layer: number;
  readonly info: LayerInfo;
  readonly label: string;
  readonly heads: readonly number[];
  /** Heads that stand back, as they have not the pattern asked for. */
  readonly dimmed: ReadonlySet<number>;
}

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
    const { info, heads, label } = line;
    this.canvas = element("canvas", { class: "attn-model-canvas", "aria-hidden": "true" });
    const number = element("b", { class: "attn-number" }, String(info.index));
    const name = label === String(info.index) || label === "" ? null : element("bdi", { class: "attn-muted" }, label);
    this.header = element("div", { class: "attn-model-layer", role: "rowheader", title: info.name }, number, name);
    this.cells = heads.map((head, column) => this.createCell(head, column, `${id}-${line.layer}-${head}`));
    const pictures = element("div", { class: "attn-model-pictures", role: "presentation" }, this.canvas, ...this.cells);
    this.element = element("div", { class: "attn-model-row", role: "row", "aria-rowindex": place + 2 }, this.header, pictures);
    this.element.style.height = `${grid.side}px`;
    this.element.style.transform = `translateY(${place * (grid.side + grid.gap)}px)`;
  }

  /** Draws the pictures whose numbers are there. */
  paint(tiles: ModelTiles): void {
    const { side, gap } = this.grid;
    const scale = Math.min(2, window.devicePixelRatio || 1);
    const pixels = Math.round(side * scale);
    this.canvas.width = Math.round((side + gap) * this.cells.length * scale);
    this.canvas.height = pixels;
    this.canvas.style.width = `${this.canvas.width / scale}px`;
    this.canvas.style.height = `${side}px`;
    const pen = this.canvas.getContext("2d");
    this.line.heads.forEach((head, column) => {
      const tile = tiles.tile({ layer: this.line.layer, head });
      if (tile === undefined) return;
      pen?.putImageData(thumbnail(tile, pixels, this.context), Math.round(column * (side + gap) * scale), 0);
    });
  }

  /** `cursor`: the head with the pointer or the keyboard. */
  mark(cursor: number | null): void {
    const { selection } = this.context.store;
    const here = selection.layer === this.line.layer;
    const some = here && selection.heads.length < this.line.heads.length;
    this.header.classList.toggle("attn-chosen", here);
    this.cells.forEach((cell, column) => {
      const head = this.line.heads[column]!;
      const chosen = some && selection.heads.includes(head);
      cell.classList.toggle("attn-chosen", chosen);
      cell.classList.toggle("attn-cursor", cursor === head);
      cell.setAttribute("aria-selected", String(chosen));
    });
  }

  private createCell(head: number, column: number, id: string): HTMLElement {
    const { info, dimmed } = this.line;
    const { order, item } = this.context.store.selection;
    const tag = order === "number" ? null : element("span", { class: "attn-model-tag attn-number", "aria-hidden": "true" }, String(info.heads[head] ?? head));
    const made = element("div", { class: "attn-model-cell", role: "gridcell", id, "aria-colindex": column + 2, "aria-label": cellName(info, item, head) }, tag);
    if (dimmed.has(head)) {
      made.classList.add("attn-dimmed");
      made.setAttribute("aria-label", `${headName(info, head)}: not of the pattern asked for`);
    }
    made.style.left = `${column * (this.grid.side + this.grid.gap)}px`;
    made.style.width = `${this.grid.side}px`;
    made.style.setProperty("--attn-head", this.context.colours().head(head, info.heads.length));
    return made;
  }
}
