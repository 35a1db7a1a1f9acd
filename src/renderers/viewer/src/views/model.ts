/** The model view: a small picture of every head, layers down and heads across. */

import { element } from "../shell/dom";
import { groupOf } from "../shell/layers";
import type { Selection } from "../state/selection";
import { ModelControls } from "./model-controls";
import { ModelGrid } from "./model-grid";
import { followGrid, MODEL_HELP, type GridActions } from "./model-input";
import { listColumns, modelLayout } from "./model-layout";
import { gridLines, hasCaptions, rankedCount } from "./model-lines";
import { patternCounts } from "./model-order";
import { ModelPreview } from "./model-preview";
import { modelSvg } from "./model-svg";
import { ModelTiles, type HeadPlace } from "./model-tiles";
import { cellName, pictureTitle } from "./model-words";
import type { View, ViewContext } from "./view";

export function createModelView(): View {
  let view: ModelView | null = null;
  return {
    name: "model",
    title: "Model",
    help: MODEL_HELP,
    mount(host, context) {
      view = new ModelView(host, context);
    },
    redraw: () => view?.redraw(),
    unmount() {
      view?.destroy();
      view = null;
    },
    toSvg: () => (view === null ? Promise.reject(new Error("the model view is not shown")) : view.toSvg()),
  };
}

/** A change of these means other numbers; a change of the layer only when it leads to another group. */
const NEW_NUMBERS: readonly (keyof Selection)[] = ["item", "special", "sink", "pair"];
/** A change of these means another arrangement of the same pictures. */
const NEW_ORDER: readonly (keyof Selection)[] = ["order", "descending", "ranked", "pattern", "only"];
const LABEL = 40;
const CAPTION = 15;
const TWO_LINES = 28;

class ModelView {
  private readonly tiles: ModelTiles;
  private readonly controls: ModelControls;
  private readonly grid: ModelGrid;
  private readonly preview: ModelPreview;
  private readonly root: HTMLElement;
  private readonly body: HTMLElement;
  private readonly stops: readonly (() => void)[];
  private group = "";
  private keyboard: HeadPlace | null = null;

  constructor(
    host: HTMLElement,
    private readonly context: ViewContext,
  ) {
    const { store } = context;
    this.tiles = new ModelTiles(context);
    this.controls = new ModelControls(context);
    this.grid = new ModelGrid(context, this.tiles);
    this.preview = new ModelPreview(context, this.tiles);
    const window = element("div", { class: "attn-model-window" }, this.grid.element);
    this.body = element("div", { class: "attn-model-body-room" }, window, this.preview.element);
    this.root = element("div", { class: "attn-model" }, this.controls.element, this.body);
    host.append(this.root);
    const onScroll = (): void => {
      this.grid.measure();
      this.track(this.load(this.grid.scroll()));
    };
    this.grid.element.addEventListener("scroll", onScroll, { passive: true });
    this.stops = [
      store.onSelection((next, before) => this.onSelection(next, before)),
      store.onFocus(() => this.onFocus()),
      followGrid(this.grid, this.actions()),
      () => this.grid.element.removeEventListener("scroll", onScroll),
    ];
    this.start();
  }

  redraw(): void {
    this.layOut();
    this.track(this.preview.redraw());
  }

  destroy(): void {
    this.tiles.stop();
    this.preview.stop();
    for (const stop of this.stops) stop();
  }

  async toSvg(): Promise<SVGSVGElement> {
    const layers = new Set(this.grid.lines.flatMap((line) => line.cells.map((cell) => cell.layer)));
    await this.load([...layers]);
    return modelSvg({ context: this.context, grid: this.grid, tiles: this.tiles, title: pictureTitle(this.context, this.group) });
  }

  private onSelection(next: Selection, before: Selection): void {
    if (next.view !== "model") return;
    const group = groupOf(this.context.trace, next.layer).name;
    if (group !== this.group || NEW_NUMBERS.some((field) => next[field] !== before[field])) {
      this.start();
      return;
    }
    if (NEW_ORDER.some((field) => next[field] !== before[field])) this.layOut();
    if (next.layer !== before.layer) this.revealSelected();
    if (next.modelScale !== before.modelScale) {
      this.controls.show(this.patterns());
      this.grid.paint(null);
      this.track(this.preview.redraw());
    }
    this.onFocus();
  }

  /** Another group, item or choice of tokens: nothing that was read is of use. */
  private start(): void {
    const { reader, trace, store } = this.context;
    this.group = groupOf(trace, store.selection.layer).name;
    this.keyboard = null;
    this.tiles.reset();
    const empty = reader.queries().length === 0 || reader.keys().length === 0;
    this.root.hidden = empty;
    if (empty) {
      this.context.explain('No token is left to show: all are padding, hidden or filtered out. Show special tokens or choose "all" for the sentence pair.');
      return;
    }
    this.layOut();
    this.revealSelected();
    this.onFocus();
  }

  private revealSelected(): void {
    const { layer, heads } = this.context.store.selection;
    const cell = this.grid.placeOf({ layer, head: heads[0] ?? 0 });
    if (cell === null) return;
    this.grid.reveal(cell.row, cell.column);
    this.track(this.load(this.grid.scroll()));
  }

  private layOut(): void {
    if (this.root.hidden) return;
    const { selection } = this.context.store;
    this.controls.show(this.patterns());
    const { clientWidth: width, clientHeight: height } = this.body;
    const columns = selection.ranked ? listColumns(width, LABEL, rankedCount(this.context.trace, selection)) : 0;
    const lines = gridLines(this.context.trace, selection, columns);
    const most = Math.max(1, ...lines.map((line) => line.cells.length));
    const sizes = { rows: lines.length, columns: most, caption: this.caption(), label: LABEL, list: selection.ranked };
    const { grid, place, preview } = modelLayout({ width, height, ...sizes });
    this.body.dataset["preview"] = place;
    this.preview.place(place, preview, width);
    this.grid.element.setAttribute("aria-label", pictureTitle(this.context, this.group));
    this.grid.show(lines, grid, LABEL, place === "below" ? height - preview : height);
    this.grid.mark(this.pointed());
    this.tiles.setPixels(grid.side * Math.min(2, window.devicePixelRatio || 1));
    this.context.explain(lines.length === 0 ? "No head has this pattern: choose another one, or all." : "");
    this.track(this.load(this.grid.scroll()));
  }

  private caption(): number {
    const { selection } = this.context.store;
    if (!hasCaptions(this.context.trace, selection)) return 0;
    return selection.order === "number" ? CAPTION : TWO_LINES;
  }

  private patterns(): [string, number][] {
    const { trace, store } = this.context;
    const layers = groupOf(trace, store.selection.layer).layers.flatMap((layer) => trace.layers[layer] ?? []);
    return patternCounts(layers, store.selection.item);
  }

  private load(layers: readonly number[]): Promise<void> {
    return this.tiles.load(layers, (layer) => {
      this.grid.paint(layer);
      this.preview.writeNotes();
    });
  }

  private pointed(): HeadPlace | null {
    const { layer, head } = this.context.store.focus;
    return layer === null || head === null ? null : { layer, head };
  }

  /** Where nothing is pointed at, the first of the selected heads is shown large. */
  private onFocus(): void {
    const { layer, heads } = this.context.store.selection;
    const pointed = this.pointed();
    this.grid.mark(pointed);
    if (pointed !== null) this.preview.keepClear(this.grid.halfOf(pointed));
    this.track(this.preview.show(pointed ?? { layer, head: heads[0] ?? 0 }, pointed !== null));
  }

  private actions(): GridActions {
    const { store, trace } = this.context;
    return {
      point: (place) => {
        if (place === null) return this.leave();
        this.keyboard = place;
        store.point(place);
      },
      arrive: (place) => {
        this.keyboard = place;
        const cell = this.grid.placeOf(place);
        if (cell !== null) this.grid.reveal(cell.row, cell.column);
        this.track(this.load(this.grid.scroll()));
        store.point(place);
        this.context.announce(cellName(trace, place.layer, store.selection.item, place.head));
      },
      open: (place, inMatrix) => store.select({ view: inMatrix ? "matrix" : "head", layer: place.layer, heads: [place.head] }),
      leave: () => this.leave(),
      cursor: () => (this.keyboard !== null && this.grid.placeOf(this.keyboard) !== null ? this.keyboard : this.firstPlace()),
    };
  }

  private leave(): void {
    this.context.store.point({});
  }

  private firstPlace(): HeadPlace | null {
    const { selection } = this.context.store;
    const line = this.grid.lines.find(({ layer }) => layer === selection.layer) ?? this.grid.lines[0];
    return line?.cells[0] ?? null;
  }

  private track(work: Promise<unknown>): void {
    this.context.drawing(work.catch((error: unknown) => this.context.fail(error)));
  }
}
