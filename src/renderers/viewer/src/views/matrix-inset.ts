/** Where a query looks in an image: the weights of its row laid out as the grid of patches that the keys are. */

import { create } from "d3-selection";
import type { Series, WeightsReader } from "../data/reader";
import { labelOf } from "../data/tokens";
import { heatPalette, heatPicture, largest } from "../draw/heatmap";
import { element } from "../shell/dom";
import type { Tile } from "../source/source";
import type { ViewContext } from "./view";

/** Pixels of the longer side. */
const SIDE = 168;

/** One query's weights over the patches, and what went to the tokens in front of them. */
export interface PatchWeights {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
  readonly most: Float32Array | undefined;
  readonly before: number;
  readonly sumBefore: number;
}

export function patchWeights(row: Float32Array, grid: readonly [number, number], most?: Float32Array): PatchWeights {
  const [rows, columns] = grid;
  const before = Math.max(0, row.length - rows * columns);
  const sumBefore = row.subarray(0, before).reduce((sum, weight) => sum + (Number.isNaN(weight) ? 0 : weight), 0);
  return { rows, columns, values: row.subarray(before), most: most?.subarray(before), before, sumBefore };
}

export class PatchInset {
  readonly element = element("figure", { class: "attn-matrix-inset", hidden: true });
  private readonly canvas = element("canvas", { role: "img" });
  private readonly outline = create("svg:svg").attr("aria-hidden", "true");
  private readonly caption = element("figcaption", {});
  private ticket = 0;

  constructor(private readonly context: ViewContext) {
    const picture = element("div", { class: "attn-matrix-patches" }, this.canvas);
    picture.append(this.outline.node() as SVGSVGElement);
    this.element.append(picture, this.caption);
  }

  /** Reads and shows the row of `query`; hides when there is none, or no image. */
  async show(series: Series, query: number | null): Promise<void> {
    const ticket = (this.ticket += 1);
    const axis = this.context.keyAxis();
    this.element.hidden = axis.grid === null;
    if (axis.grid === null || query === null) return;
    const { item } = this.context.store.selection;
    const row = await readRow(this.context.reader, series, item, query, axis.length);
    if (ticket !== this.ticket) return;
    this.draw(patchWeights(row.values, axis.grid, row.most), query);
  }

  stop(): void {
    this.ticket += 1;
  }

  private draw(patches: PatchWeights, query: number): void {
    const { rows, columns, values, before } = patches;
    const { colours, store, format } = this.context;
    const range = { scale: store.selection.scale, max: largest(values) };
    const picture = heatPicture(values, rows, columns, range, heatPalette(colours()), patches.most);
    this.canvas.width = columns;
    this.canvas.height = rows;
    this.canvas.getContext("2d")?.drawImage(picture, 0, 0);
    const cell = SIDE / Math.max(rows, columns);
    const [width, height] = [columns * cell, rows * cell];
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    this.outline.attr("width", width).attr("height", height).selectAll("*").remove();
    const own = this.context.layer().queryAxis === this.context.layer().keyAxis ? query - before : -1;
    if (own >= 0) this.outlineCell(Math.floor(own / columns) * cell, (own % columns) * cell, cell);
    const word = labelOf(this.context.queryAxis(), store.selection.item, query);
    const others = before === 1 ? "the other token" : `the ${before} other tokens`;
    const rest = before > 0 ? `; ${format(patches.sumBefore)} to ${others}` : "";
    const text = `Where query ${query} ${word} looks: patches up to ${format(range.max)}${rest}.`;
    this.caption.textContent = text;
    this.canvas.setAttribute("aria-label", text);
  }

  private outlineCell(top: number, left: number, cell: number): void {
    this.outline.append("rect").attr("x", left).attr("y", top).attr("width", cell).attr("height", cell).attr("fill", "none").attr("stroke", this.context.colours().accent).attr("stroke-width", 2);
  }
}

async function readRow(reader: WeightsReader, series: Series, item: number, query: number, keys: number): Promise<Tile> {
  const request = { series, item, queries: { start: query, stop: query + 1 }, keys: { start: 0, stop: keys }, maxRows: 1, maxColumns: keys };
  return reader.block(request);
}
