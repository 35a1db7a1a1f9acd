/** The matrix view: one head's weights as a heat map, queries down and keys across, to zoom and to read off. */

import type { Series } from "../data/reader";
import type { MatrixWindow, Selection } from "../state/selection";
import { Camera } from "./matrix-camera";
import { createElements, type MatrixElements } from "./matrix-elements";
import { exportMatrix } from "./matrix-export";
import { followInput, MATRIX_HELP } from "./matrix-input";
import { PatchInset } from "./matrix-inset";
import { edgeOf, readOrder, type MatrixOrder } from "./matrix-order";
import { MatrixPicture } from "./matrix-picture";
import { MatrixPointer } from "./matrix-pointer";
import { HeadStrip } from "./matrix-strip";
import { MatrixTiles, type Window } from "./matrix-tiles";
import { captionOf, exportLines, exportTitle, titleOf } from "./matrix-words";
import type { View, ViewContext } from "./view";

export function createMatrixView(): View {
  let view: MatrixView | null = null;
  return {
    name: "matrix",
    title: "Matrix",
    help: MATRIX_HELP,
    mount(host, context) {
      view = new MatrixView(host, context);
    },
    redraw: () => view?.redraw(),
    unmount() {
      view?.destroy();
      view = null;
    },
    toSvg: () => (view === null ? Promise.reject(new Error("the matrix view is not shown")) : view.toSvg()),
  };
}

/** A change of these means other numbers or another order; of any other field, other marks on the same picture. */
const NEW_NUMBERS: readonly (keyof Selection)[] = ["layer", "heads", "item", "meanHeads", "meanLayers", "special", "sink", "pair", "sort", "shown"];

/** The window in sight is written into the selection once the camera has rested for this long. */
const REST_MS = 200;

class MatrixView {
  private readonly elements: MatrixElements;
  private readonly camera: Camera;
  private readonly picture: MatrixPicture;
  private readonly pointer: MatrixPointer;
  private readonly strip: HeadStrip;
  private readonly inset: PatchInset;
  private readonly stops: readonly (() => void)[];
  private ticket = 0;
  private resting = 0;
  /** A window that came with other numbers, by a link for example, until they are there; null for all of them. */
  private wanted: MatrixWindow | null | undefined;

  constructor(
    host: HTMLElement,
    private readonly context: ViewContext,
  ) {
    const { store } = context;
    const elements = createElements({
      sort: (sort) => store.select({ sort }),
      zoom: (factor) => this.camera.zoomBy(factor),
      fit: () => this.camera.fitAll(),
    });
    this.elements = elements;
    this.camera = new Camera(elements.pane, (byHand) => this.onMove(byHand));
    this.picture = new MatrixPicture(context, elements, this.camera);
    this.pointer = new MatrixPointer(context, elements, this.camera, this.picture);
    this.strip = new HeadStrip(context, (place) => this.choose(place));
    this.inset = new PatchInset(context);
    elements.side.append(this.inset.element, this.strip.element);
    host.append(elements.root);
    this.stops = [
      store.onSelection((next, before) => this.onSelection(next, before)),
      store.onFocus(() => this.onFocus()),
      followInput(elements.stage, elements.pane, this.pointer),
    ];
    this.load();
  }

  redraw(): void {
    this.picture.layOut();
    this.track(this.picture.loadView());
    this.track(this.drawStrip());
    this.onFocus();
  }

  destroy(): void {
    this.ticket += 1;
    clearTimeout(this.resting);
    for (const stop of this.stops) stop();
    this.picture.stop();
    this.pointer.stop();
    this.strip.stop();
    this.inset.stop();
    this.camera.destroy();
  }

  async toSvg(): Promise<SVGSVGElement> {
    await this.picture.loadView();
    const parts = this.picture.exportParts();
    if (parts === null) throw new Error("the matrix is empty: show more tokens, then export it again");
    const series = this.series();
    return exportMatrix({ ...parts, title: exportTitle(this.context, series), lines: exportLines(this.context, series) });
  }

  private onSelection(next: Selection, before: Selection): void {
    const sorts = (next.sort === "query" && next.query !== before.query) || (next.sort === "key" && next.key !== before.key);
    const others = sorts || NEW_NUMBERS.some((field) => next[field] !== before[field]);
    if (next.window !== before.window) {
      if (others) this.wanted = next.window;
      else this.goTo(next.window);
    }
    if (others) return this.load();
    if (changedOnly(next, before, "window")) return;
    this.elements.caption.textContent = captionOf(this.context);
    this.picture.paint();
    this.onFocus();
    if (next.scale !== before.scale) this.track(this.drawStrip());
  }

  private onFocus(): void {
    this.picture.drawMarks();
    const { focus, selection } = this.context.store;
    const series = this.picture.series;
    if (series !== null) this.track(this.inset.show(series, focus.query ?? selection.query ?? this.picture.order?.rows.at(-1) ?? null));
  }

  private onMove(byHand: boolean): void {
    this.context.tooltip.hide();
    this.picture.paint();
    this.track(this.picture.loadView());
    if (byHand) this.rememberWindow();
  }

  /** So that a link, and coming back from another view, show the same part of the matrix. */
  private rememberWindow(): void {
    window.clearTimeout(this.resting);
    this.resting = window.setTimeout(() => {
      const shown = this.picture.window();
      const { store } = this.context;
      if (shown?.join() !== store.selection.window?.join()) store.select({ window: shown });
    }, REST_MS);
  }

  /** Follows a window that came from elsewhere; that of the camera itself is in sight already. */
  private goTo(window: MatrixWindow | null): void {
    if (window?.join() !== this.picture.window()?.join()) this.camera.showWindow(window === null ? null : windowFrom(window));
  }

  private choose(place: number): void {
    const head = this.context.reader.series()[place]?.heads[0];
    if (head !== undefined) this.context.store.select({ shown: head });
  }

  /** The series that is shown large; one of `list`. */
  private series(list = this.context.reader.series()): Series {
    const { shown } = this.context.store.selection;
    const series = list.find(({ heads }) => heads.length === 1 && heads[0] === shown) ?? list[0];
    if (series === undefined) throw new Error("the reader gave no series to show");
    return series;
  }

  /** Reads the numbers for what is selected, and keeps showing the old ones, paler, until the first arrive. */
  private load(): void {
    const ticket = (this.ticket += 1);
    const { elements, context } = this;
    const list = context.reader.series();
    const series = this.series(list);
    this.strip.show(list, list.indexOf(series));
    elements.title.textContent = titleOf(context, series);
    elements.sort.set(context.store.selection.sort);
    elements.caption.textContent = captionOf(context);
    elements.caption.hidden = elements.caption.textContent === "";
    elements.root.setAttribute("aria-busy", "true");
    this.track(this.read(series, ticket));
  }

  private async read(series: Series, ticket: number): Promise<void> {
    const { context } = this;
    const { selection } = context.store;
    const order = await readOrder(context.reader, series, selection);
    if (ticket !== this.ticket) return;
    if (this.explainEmpty(order)) return;
    const tiles = new MatrixTiles(context.reader, series, selection.item, order, () => this.picture.onArrival(tiles));
    const before = this.picture.order;
    const { wanted } = this;
    this.wanted = undefined;
    const asked = before === null ? selection.window : wanted;
    const to = asked === undefined && before !== null ? { edge: edgeOf(order, before) } : { window: startWindow(asked ?? null) };
    await this.picture.show(tiles, to);
    if (ticket !== this.ticket) return;
    if (before !== null) this.rememberWindow();
    this.onFocus();
    await this.drawStrip();
  }

  private explainEmpty(order: MatrixOrder): boolean {
    const empty = order.rows.length === 0 || order.columns.length === 0;
    this.elements.root.hidden = empty;
    const what = order.rows.length === 0 ? "query" : "key";
    this.context.explain(empty ? `No ${what} token is left to show: all are padding, hidden or filtered out. Show special tokens or choose "all" for the sentence pair.` : "");
    return empty;
  }

  private async drawStrip(): Promise<void> {
    const { selection } = this.context.store;
    const order = this.picture.order;
    // Small pictures keep the order of the text, so that heads can be told by their shape.
    if (order !== null) await this.strip.draw(selection.item, { rows: this.context.reader.queries(), columns: this.context.reader.keys(), sorted: null });
  }

  private track(work: Promise<unknown>): void {
    this.context.drawing(work.catch((error: unknown) => this.context.fail(error)));
  }
}

function startWindow(window: MatrixWindow | null): Window | null {
  return window === null ? null : windowFrom(window);
}

function windowFrom([firstRow, lastRow, firstColumn, lastColumn]: MatrixWindow): Window {
  return { firstRow, lastRow, firstColumn, lastColumn };
}

function changedOnly(next: Selection, before: Selection, field: keyof Selection): boolean {
  return (Object.keys(next) as (keyof Selection)[]).every((name) => next[name] === before[name] || name === field);
}
