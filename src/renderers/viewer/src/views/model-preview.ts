/** One head, enlarged, with its figures: beside the grid where there is room, else in the corner away from the pointer. */

import { element, refill } from "../shell/dom";
import { headFigures, headName } from "./model-words";
import { thumbnail, type HeadPlace, type ModelTiles } from "./model-tiles";
import type { ViewContext } from "./view";

export const PREVIEW_SIDE = 232;
/** What the preview takes of the view's width when it stands beside the grid. */
export const PREVIEW_WIDTH = PREVIEW_SIDE + 40;

export class ModelPreview {
  readonly element = element("aside", { class: "attn-model-preview", "aria-hidden": "true", hidden: true });
  private readonly canvas = element("canvas", { class: "attn-model-large", width: 1, height: 1 });
  private readonly words = element("div", { class: "attn-model-words" });
  private shown: HeadPlace | null = null;
  private ticket = 0;

  constructor(
    private readonly context: ViewContext,
    private readonly tiles: ModelTiles,
  ) {
    this.element.append(this.canvas, this.words);
  }

  /** `floating`: over the grid; `atLeft`: the pointer is in the grid's right half. */
  place(floating: boolean, atLeft: boolean): void {
    this.element.classList.toggle("attn-floating", floating);
    this.element.classList.toggle("attn-at-left", floating && atLeft);
  }

  /** At once from the small picture, then with all that the screen can show. */
  async show(place: HeadPlace | null): Promise<void> {
    const ticket = (this.ticket += 1);
    this.shown = place;
    this.element.hidden = place === null;
    if (place === null) return;
    this.write(place);
    const side = Math.round(PREVIEW_SIDE * Math.min(2, window.devicePixelRatio || 1));
    const small = this.tiles.tile(place);
    if (small !== undefined) this.paint(thumbnail(small, side, this.context));
    const large = await this.tiles.large(place, side);
    if (ticket === this.ticket) this.paint(thumbnail(large, side, this.context));
  }

  /** The same head again, in other colours or with other numbers. */
  redraw(): Promise<void> {
    return this.show(this.shown);
  }

  stop(): void {
    this.ticket += 1;
  }

  private write({ layer, head }: HeadPlace): void {
    const info = this.context.trace.layers[layer];
    if (info === undefined) return;
    const figures = headFigures(info, this.context.store.selection.item, head);
    const list = element("dl", { class: "attn-model-figures" });
    for (const { label, value } of figures) list.append(element("dt", {}, label), element("dd", { class: "attn-number" }, value));
    const path = element("div", { class: "attn-model-path attn-muted" }, element("bdi", {}, info.name));
    refill(this.words, element("div", { class: "attn-model-name" }, headName(info, head)), path, list);
  }

  private paint(image: ImageData): void {
    this.canvas.width = image.width;
    this.canvas.height = image.height;
    this.canvas.getContext("2d")?.putImageData(image, 0, 0);
  }
}
