/** The model view: a small picture of every head, layers down and heads across. */

import { element } from "../shell/dom";
import { groupOf } from "../shell/layers";
import type { Selection } from "../state/selection";
import { ModelControls } from "./model-controls";
import { ModelGrid } from "./model-grid";
import { followGrid, MODEL_HELP, type GridActions } from "./model-input";
import { matchesPattern, orderedHeads, patternCounts, shortNames } from "./model-order";
import { ModelPreview, PREVIEW_WIDTH } from "./model-preview";
import type { GridLine } from "./model-row";
import { modelSvg } from "./model-svg";
import { ModelTiles, type HeadPlace } from "./model-tiles";
import { cellName, headFigures, headName, pictureTitle } from "./model-words";
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
/** Narrower views have no room for the preview beside the grid. */
const ROOM_FOR_PREVIEW = 780;

class ModelView {
  private readonly tiles: ModelTiles;
  private readonly controls: ModelControls;
  private readonly grid: ModelGrid;
  private readonly preview: ModelPreview;
  private readonly root: HTMLElement;
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
    const body = element("div", { class: "attn-model-window" }, this.grid.element, this.preview.element);
    this.root = element("div", { class: "attn-model" }, this.controls.element, body);
    host.append(this.root);
    const onScroll = (): void => this.track(this.load(this.grid.scroll()));
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
    await this.tiles.load(this.grid.lines.map((line) => line.layer), (layer) => this.grid.paint(layer));
    return modelSvg({ context: this.context, grid: this.grid, tiles: this.tiles, title: pictureTitle(this.context, this.group) });
  }

  private onSelection(next: Selection, before: Selection): void {
    if (next.view !== "model") return;
    const group = groupOf(this.context.trace, next.layer).name;
    if (group !== this.group || NEW_NUMBERS.some((field) => next[field] !== before[field])) {
      this.start();
      return;
    }
    if (next.order !== before.order || next.pattern !== before.pattern) this.layOut();
    if (next.scale !== before.scale) {
      this.controls.drawLegend();
      this.grid.paintAll();
      this.track(this.preview.redraw());
    }
    this.grid.mark(this.pointed());
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
    this.track(this.preview.redraw());
  }

  private layOut(): void {
    if (this.root.hidden) return;
    const beside = this.root.clientWidth >= ROOM_FOR_PREVIEW;
    const lines = this.lines();
    const { item } = this.context.store.selection;
    this.preview.place(!beside, false);
    this.controls.show(patternCounts(lines.map((line) => line.info), item));
    this.controls.drawLegend();
    this.grid.element.setAttribute("aria-label", pictureTitle(this.context, this.group));
    this.grid.show(lines, beside ? PREVIEW_WIDTH : 0);
    this.tiles.setPixels(this.grid.grid.side * Math.min(2, window.devicePixelRatio || 1));
    this.track(this.load(this.grid.scroll()));
  }

  private lines(): GridLine[] {
    const { trace, store } = this.context;
    const { item, order, pattern, layer: selected } = store.selection;
    const { layers } = groupOf(trace, selected);
    const labels = shortNames(layers.map((layer) => trace.layers[layer]?.name ?? ""));
    return layers.flatMap((layer, place) => {
      const info = trace.layers[layer];
      if (info === undefined) return [];
      const heads = orderedHeads(info, item, order);
      const dimmed = new Set(heads.filter((head) => !matchesPattern(info, item, head, pattern)));
      return [{ layer, info, label: labels[place] ?? "", heads, dimmed }];
    });
  }

  private load(layers: readonly number[]): Promise<void> {
    return this.tiles.load(layers, (layer) => this.grid.paint(layer));
  }

  private pointed(): HeadPlace | null {
    const { layer, head } = this.context.store.focus;
    return layer === null || head === null ? null : { layer, head };
  }

  private onFocus(): void {
    const pointed = this.pointed();
    this.grid.mark(pointed);
    this.track(this.preview.show(pointed));
  }

  private actions(): GridActions {
    const { store, tooltip, trace } = this.context;
    return {
      point: (place, event) => {
        if (place === null) return this.leave();
        const info = trace.layers[place.layer];
        if (info === undefined) return;
        this.keyboard = place;
        const cell = this.grid.placeOf(place);
        this.preview.place(this.root.clientWidth < ROOM_FOR_PREVIEW, event.clientX > this.middle());
        if (cell !== null) store.point({ layer: place.layer, head: place.head });
        tooltip.show(event.clientX, event.clientY, headName(info, place.head), headFigures(info, store.selection.item, place.head));
      },
      arrive: (place) => {
        this.keyboard = place;
        tooltip.hide();
        const cell = this.grid.placeOf(place);
        if (cell !== null) this.grid.reveal(cell.row, cell.column);
        this.track(this.load(this.grid.scroll()));
        store.point({ layer: place.layer, head: place.head });
        const info = trace.layers[place.layer];
        if (info !== undefined) this.context.announce(cellName(info, store.selection.item, place.head));
      },
      open: (place, inMatrix) => store.select({ view: inMatrix ? "matrix" : "head", layer: place.layer, heads: [place.head] }),
      leave: () => this.leave(),
      cursor: () => this.keyboard ?? this.firstPlace(),
    };
  }

  private leave(): void {
    this.context.tooltip.hide();
    this.context.store.point({});
  }

  private firstPlace(): HeadPlace | null {
    const { selection } = this.context.store;
    const line = this.grid.lines.find(({ layer }) => layer === selection.layer) ?? this.grid.lines[0];
    const head = line?.heads[0];
    return line === undefined || head === undefined ? null : { layer: line.layer, head };
  }

  private middle(): number {
    const { left, width } = this.root.getBoundingClientRect();
    return left + width / 2;
  }

  private track(work: Promise<unknown>): void {
    this.context.drawing(work.catch((error: unknown) => this.context.fail(error)));
  }
}
