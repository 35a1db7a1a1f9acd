/** Small pictures of all selected heads beside the large one; choosing one makes it large. */

import type { Series } from "../data/reader";
import { seriesColour } from "../draw/colours";
import { heatPalette, heatPicture, largest } from "../draw/heatmap";
import { element, refill, setAttributes } from "../shell/dom";
import type { MatrixOrder } from "./matrix-order";
import { readTile } from "./matrix-tiles";
import type { ViewContext } from "./view";

/** Pixels of a small picture, at most. */
const SIDE = 84;
/** Beyond this, making the small pictures takes a server longer than anybody wants to wait: names only. */
const MOST_WEIGHTS = 2048 * 2048;

interface Entry {
  readonly series: Series;
  readonly button: HTMLButtonElement;
  readonly canvas: HTMLCanvasElement;
  /** What the head does most; other words in another layer. */
  readonly pattern: HTMLElement;
}

export class HeadStrip {
  readonly element: HTMLElement;
  private readonly list = element("div", { class: "attn-matrix-strip", role: "toolbar", "aria-label": "Which head is shown large" });
  private readonly heading = element("p", { class: "attn-matrix-heads-title attn-muted" });
  private entries: readonly Entry[] = [];
  private ticket = 0;
  /** The button of the head shown large, until it has been scrolled to. */
  private unseen: HTMLElement | null = null;

  constructor(
    private readonly context: ViewContext,
    private readonly onChoose: (place: number) => void,
  ) {
    this.list.addEventListener("keydown", (event) => this.onKey(event));
    this.list.addEventListener("scroll", () => this.hint());
    this.element = element("div", { class: "attn-matrix-heads" }, this.heading, this.list);
  }

  /** Shows a list of series, of which `current` is the large one. Hidden when there is nothing to choose. */
  show(list: readonly Series[], current: number): void {
    const same = list.length === this.entries.length && list.every((series, place) => series.label === this.entries[place]?.series.label);
    if (!same) {
      this.entries = list.map((series, place) => this.createEntry(series, place));
      refill(this.list, ...this.entries.map((entry) => entry.button));
    } else {
      this.entries = this.entries.map((entry, place) => ({ ...entry, series: list[place] ?? entry.series }));
    }
    this.element.hidden = list.length < 2;
    this.entries.forEach((entry, place) => this.mark(entry, place === current));
    for (const entry of this.entries) this.describe(entry);
    this.unseen = this.entries[current]?.button ?? null;
  }

  /** Says whether there are more heads than can be seen, in words and by fading the list's end. */
  hint(): void {
    const { scrollTop, scrollLeft, clientHeight, clientWidth, scrollHeight, scrollWidth } = this.list;
    const scrolls = scrollHeight > clientHeight + 1 || scrollWidth > clientWidth + 1;
    const more = scrollHeight - clientHeight - scrollTop > 1 || scrollWidth - clientWidth - scrollLeft > 1;
    this.list.toggleAttribute("data-more", more);
    this.heading.textContent = `${this.entries.length} heads${scrolls ? ", scroll for the others" : ""}`;
  }

  /** Scrolls the list, and nothing around it, until a button is in sight. */
  private reveal(button: HTMLElement): void {
    const { list } = this;
    const { offsetTop, offsetLeft, offsetHeight, offsetWidth } = button;
    list.scrollTop = Math.min(offsetTop, Math.max(list.scrollTop, offsetTop + offsetHeight - list.clientHeight));
    list.scrollLeft = Math.min(offsetLeft, Math.max(list.scrollLeft, offsetLeft + offsetWidth - list.clientWidth));
  }

  /** Reads and draws the small pictures one after the other; a later call takes over. */
  async draw(item: number, order: MatrixOrder): Promise<void> {
    const ticket = (this.ticket += 1);
    // Not before there is a layout to scroll in.
    if (this.unseen !== null) this.reveal(this.unseen);
    this.unseen = null;
    this.hint();
    const [rows, columns] = [order.rows.length, order.columns.length];
    const few = this.entries.length > 1 && rows * columns <= MOST_WEIGHTS;
    for (const { canvas } of this.entries) canvas.hidden = !few;
    if (!few) return;
    const window = { firstRow: 0, lastRow: rows, firstColumn: 0, lastColumn: columns };
    const resolution = { rowStep: Math.ceil(rows / SIDE), columnStep: Math.ceil(columns / SIDE) };
    for (const { series, canvas } of this.entries) {
      const tile = await readTile(this.context.reader, series, item, order, window, resolution);
      if (ticket !== this.ticket) return;
      const { scale } = this.context.store.selection;
      const picture = heatPicture(tile.values, tile.rows, tile.columns, { scale, max: largest(tile.values) }, heatPalette(this.context.colours()), tile.most);
      canvas.width = tile.columns;
      canvas.height = tile.rows;
      canvas.getContext("2d")?.drawImage(picture, 0, 0);
    }
  }

  /** Nothing that is still being read will be drawn. */
  stop(): void {
    this.ticket += 1;
  }

  private createEntry(series: Series, place: number): Entry {
    const canvas = element("canvas", { class: "attn-matrix-small", width: 1, height: 1, "aria-hidden": "true" });
    const pattern = element("span", { class: "attn-muted" });
    const words = element("span", { class: "attn-matrix-name" }, element("b", {}, series.label), pattern);
    const button = element("button", { type: "button", class: "attn-matrix-choice" }, canvas, words);
    button.addEventListener("click", () => this.onChoose(place));
    return { series, button, canvas, pattern };
  }

  private describe({ series, button, pattern }: Entry): void {
    const words = this.patternOf(series);
    pattern.textContent = words;
    pattern.hidden = words === "";
    button.title = words === "" ? series.label : `${series.label}: ${words}`;
  }

  private patternOf(series: Series): string {
    const [head] = series.heads;
    if (series.heads.length !== 1 || series.layers.length !== 1 || head === undefined) return "";
    return this.context.layer().statistics[this.context.store.selection.item]?.pattern[head] ?? "";
  }

  private mark({ series, button }: Entry, current: boolean): void {
    const total = this.context.layer().heads.length;
    button.style.setProperty("--attn-head", seriesColour(this.context.colours(), series, total));
    setAttributes(button, { "aria-pressed": String(current), tabindex: current ? 0 : -1 });
  }

  private onKey(event: KeyboardEvent): void {
    const place = this.entries.findIndex((entry) => entry.button === event.target);
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (place === -1 || step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const next = (place + step + this.entries.length) % this.entries.length;
    this.onChoose(next);
    this.entries[next]?.button.focus();
  }
}
