/** One head, enlarged, with its tokens and figures: the one that is pointed at, or else the selected one. */

import { create } from "d3-selection";
import { drawLegend, LEGEND_HEIGHT } from "../draw/legend";
import { textGroup } from "../draw/rulers-draw";
import { element, refill } from "../shell/dom";
import type { PreviewPlace } from "./model-layout";
import { largestPairs, pairsList } from "./model-pairs";
import { PreviewPicture, pictureSide } from "./model-picture";
import { headFigures, headName, weightTicks } from "./model-words";
import type { MatrixTile } from "./matrix-tiles";
import { rangeOf, type HeadPlace, type ModelTiles } from "./model-tiles";
import type { ViewContext } from "./view";

const LEGEND_WIDTH = 190;
const LEAST_LEGEND = 110;
/** Space around the picture and its words, where they stand side by side. */
const BESIDE_PICTURE = 24;
const MOST_PAIRS = 8;

export class ModelPreview {
  readonly element = element("aside", { class: "attn-model-preview", "aria-hidden": "true", hidden: true });
  private readonly picture: PreviewPicture;
  private readonly words = element("div", { class: "attn-model-words" });
  private readonly legend = element("div", { class: "attn-model-legend" });
  private readonly notes = element("div", { class: "attn-model-notes attn-muted" });
  private readonly pairs = element("div", { class: "attn-model-pairs-room" });
  private shown: HeadPlace | null = null;
  private pointed = false;
  private side = 0;
  private legendWidth = LEGEND_WIDTH;
  private ticket = 0;

  constructor(
    private readonly context: ViewContext,
    private readonly tiles: ModelTiles,
  ) {
    this.picture = new PreviewPicture(context);
    this.element.append(this.picture.element, this.words, this.pairs);
  }

  /** `size`: width beside the grid, height below it; `width`: of the whole view. */
  place(place: PreviewPlace, size: number, width: number): void {
    this.legendWidth = place === "below" ? Math.min(LEGEND_WIDTH, width - size - BESIDE_PICTURE) : LEGEND_WIDTH;
    this.element.hidden = place === "over" && !this.pointed;
    this.element.dataset["place"] = place;
    this.element.style.setProperty("--attn-preview", `${size}px`);
    this.side = pictureSide(place, size);
  }

  /** Where it lies over the grid: in the corner away from what is pointed at. */
  keepClear({ right, low }: { readonly right: boolean; readonly low: boolean }): void {
    this.element.classList.toggle("attn-at-left", right);
    this.element.classList.toggle("attn-at-top", low);
  }

  /** At once from the small picture, then with all that the screen can show. `pointed`: by mouse or keyboard. */
  async show(place: HeadPlace, pointed: boolean): Promise<void> {
    const ticket = (this.ticket += 1);
    this.shown = place;
    this.pointed = pointed;
    this.element.hidden = this.element.dataset["place"] === "over" && !pointed;
    if (this.element.hidden) return;
    this.write(place);
    const small = this.tiles.tile(place);
    if (small !== undefined) this.paint(small);
    const pixels = Math.round(this.side * Math.min(2, window.devicePixelRatio || 1));
    const large = await this.tiles.large(place, pixels);
    if (ticket === this.ticket) this.paint(large);
  }

  private paint(tile: MatrixTile): void {
    this.picture.paint(tile, this.side);
    refill(this.pairs, pairsList(this.context, largestPairs(tile, MOST_PAIRS)));
    this.drawLegend(tile);
    this.writeNotes();
  }

  /** What colours beside the scale mean; called again when other pictures have come, which may have some. */
  writeNotes(): void {
    const notes = this.tiles.notes(this.context.colours()).map(({ fill, text }) => {
      const swatch = element("span", { class: "attn-model-swatch" });
      swatch.style.background = fill;
      return element("span", {}, swatch, text);
    });
    refill(this.notes, ...notes);
  }

  private drawLegend(tile: MatrixTile): void {
    const { store, format } = this.context;
    const width = this.legendWidth;
    const colours = this.context.colours();
    const { scale, max } = rangeOf(tile, store.selection.modelScale);
    const svg = create<SVGSVGElement>("svg:svg").attr("width", width + 2).attr("height", LEGEND_HEIGHT);
    const node = svg.node();
    if (node === null || !(max > 0) || width < LEAST_LEGEND) return refill(this.legend);
    const ticks = weightTicks(scale, max, format);
    drawLegend(textGroup(node).attr("transform", "translate(1,1)"), width, ticks, (share) => colours.heat(share), [], colours);
    refill(this.legend, node);
  }

  /** The same head again, in other colours, another size, or with other numbers. */
  redraw(): Promise<void> {
    return this.shown === null ? Promise.resolve() : this.show(this.shown, this.pointed);
  }

  stop(): void {
    this.ticket += 1;
  }

  private write({ layer, head }: HeadPlace): void {
    const { trace, store } = this.context;
    const info = trace.layers[layer];
    if (info === undefined) return;
    const list = element("dl", { class: "attn-model-figures" });
    for (const { label, value } of headFigures(trace, info, store.selection.item, head)) {
      list.append(element("dt", {}, label), element("dd", { class: "attn-number" }, value));
    }
    const path = element("div", { class: "attn-model-path attn-muted", title: info.name }, element("bdi", {}, info.name));
    const hint = this.pointed ? "Click opens it in the head view, Shift+Click in the matrix view." : "The selected head. Point at another to see it here.";
    const name = element("div", { class: "attn-model-name" }, headName(trace, layer, head));
    refill(this.words, name, path, list, this.legend, this.notes, element("div", { class: "attn-model-hint attn-muted" }, hint));
  }
}
