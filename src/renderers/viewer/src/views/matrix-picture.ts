/** Keeps the heat map on the screen in step with its tiles, the camera, the window's size and the marks. */

import { select } from "d3-selection";
import type { Series } from "../data/reader";
import { matchingPositions } from "../data/search";
import { heatTicks, drawLegend, LEGEND_HEIGHT, legendWidth, type LegendNote } from "../draw/legend";
import { FONT_FAMILY, measureText } from "../draw/rulers-draw";
import { leftOutColour, type HeatRange } from "../draw/heatmap";
import type { AxisInfo } from "../source/trace-info";
import type { MatrixWindow } from "../state/selection";
import { visibleWindow, type Camera } from "./matrix-camera";
import type { MatrixElements } from "./matrix-elements";
import type { MatrixExport } from "./matrix-export";
import { boundaries, labelsOf, layoutMatrix, SIDE_HEIGHT, SIDE_WIDTH, sideOf, sidePlace, type MatrixLayout } from "./matrix-layout";
import type { MatrixOrder } from "./matrix-order";
import { drawOverlay, type Lines, type Marks, type OverlayParts } from "./matrix-overlay";
import { cellNumbers, drawNumbers, MatrixPainter, type NumberStyle } from "./matrix-paint";
import { overviewResolution, resolutionOf, wholeWindow, windowOf, type Scene } from "./matrix-scene";
import type { MatrixTiles, Window } from "./matrix-tiles";
import type { ViewContext } from "./view";

/** Where the camera goes for a new picture: to a window of it (null for all), or to the edge where the strongest are. */
export interface Destination {
  readonly window?: Window | null;
  readonly edge?: "left" | "top" | null;
}

/** While zooming goes on nothing is asked for, as it would be out of date at once. */
const SETTLE_MS = 50;

export class MatrixPicture {
  tiles: MatrixTiles | null = null;
  layout: MatrixLayout | null = null;
  private readonly painter = new MatrixPainter();
  private rowOf = new Map<number, number>();
  private columnOf = new Map<number, number>();
  private hatched = false;
  private frame = 0;
  private stopped = false;
  private shape = "";
  /** The size that the layout was made for, and what the legend shows. */
  private room = "";
  private legendStamp = "";

  constructor(
    private readonly context: ViewContext,
    private readonly elements: MatrixElements,
    private readonly camera: Camera,
  ) {}

  get order(): MatrixOrder | null {
    return this.tiles?.order ?? null;
  }

  get series(): Series | null {
    return this.tiles?.series ?? null;
  }

  /** Loads the whole picture at the resolution of the window, then what is in view of it. */
  async show(tiles: MatrixTiles, to: Destination): Promise<void> {
    const { order } = tiles;
    this.tiles = tiles;
    this.rowOf = new Map(order.rows.map((position, row) => [position, row]));
    this.columnOf = new Map(order.columns.map((position, column) => [position, column]));
    const shape = `${order.rows.length} ${order.columns.length}`;
    this.layOut(shape === this.shape);
    this.shape = shape;
    if (this.layout === null) return;
    if (to.window !== undefined) this.camera.showWindow(to.window);
    else if (to.edge) this.camera.toEdge(to.edge);
    const { fit } = this.layout;
    await tiles.load(wholeWindow(fit), overviewResolution(fit, window.devicePixelRatio), true);
    await this.loadNow();
    if (tiles === this.tiles) this.paint();
  }

  /** Shares out the room again: after a change of size, of the labels, or of how many heads there are. */
  layOut(keepView = true): void {
    const { tiles, elements, context } = this;
    if (tiles === null) return;
    const { root, body, side, stage, pane } = elements;
    const hasSide = [...side.children].some((child) => !(child as HTMLElement).hidden);
    side.hidden = !hasSide;
    this.room = this.roomNow();
    const place = hasSide ? sidePlace(body.clientWidth, body.clientHeight, tiles.order) : "none";
    root.dataset["side"] = place;
    const width = body.clientWidth - (place === "beside" ? SIDE_WIDTH : 0);
    const height = body.clientHeight - (place === "below" ? SIDE_HEIGHT : 0);
    const { item } = context.store.selection;
    const { rows, columns } = tiles.order;
    const labels = { rows: labelsOf(context.queryAxis(), item, rows), columns: labelsOf(context.keyAxis(), item, columns) };
    const layout = layoutMatrix(Math.max(160, width - 4), Math.max(120, height - 4), tiles.order, labels, measureText);
    this.layout = layout;
    stage.style.width = `${layout.left + layout.fit.width + layout.right}px`;
    stage.style.height = `${layout.top + layout.fit.height + 2}px`;
    pane.style.left = `${layout.left}px`;
    pane.style.top = `${layout.top}px`;
    pane.style.width = `${layout.fit.width}px`;
    pane.style.height = `${layout.fit.height}px`;
    this.camera.resize(layout.fit, keepView);
  }

  onArrival(tiles: MatrixTiles): void {
    if (tiles === this.tiles && !this.stopped) {
      // From now on the picture is the new one, as far as it has come.
      this.elements.root.removeAttribute("aria-busy");
      cancelAnimationFrame(this.frame);
      this.frame = requestAnimationFrame(() => this.paint());
    }
  }

  /** Loads what is in view, once the camera rests. */
  async loadView(): Promise<void> {
    const { tiles } = this;
    const at = this.camera.at;
    if (tiles === null) return;
    const scene = this.scene();
    if (scene === null || tiles.complete(windowOf(scene), resolutionOf(scene))) return this.paint();
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const now = this.camera.at;
    if (this.stopped || tiles !== this.tiles || now.k !== at.k || now.x !== at.x || now.y !== at.y) return;
    await this.loadNow();
    this.paint();
  }

  private async loadNow(): Promise<void> {
    const scene = this.scene();
    if (scene !== null) await scene.tiles.load(windowOf(scene), resolutionOf(scene), false);
  }

  /** What is in sight; null when all is. */
  window(): MatrixWindow | null {
    const { layout, camera } = this;
    if (layout === null || camera.at.k < 1 + 1e-6) return null;
    const { firstRow, lastRow, firstColumn, lastColumn } = visibleWindow(layout.fit, camera.at);
    return [firstRow, lastRow, firstColumn, lastColumn];
  }

  scene(): Scene | null {
    const { tiles, layout, context } = this;
    if (tiles === null || layout === null) return null;
    return { tiles, fit: layout.fit, at: this.camera.at, density: window.devicePixelRatio, range: this.range(tiles), colours: context.colours() };
  }

  private range(tiles: MatrixTiles): HeatRange {
    return { scale: this.context.store.selection.scale, max: tiles.max > 0 ? tiles.max : 1 };
  }

  paint(): void {
    const scene = this.scene();
    if (scene === null || this.stopped) return;
    const { canvas } = this.elements;
    this.hatched = this.painter.paint(canvas, scene);
    drawNumbers(canvas, cellNumbers(scene, this.numberStyle()), scene.density);
    this.drawMarks();
    // A new legend may have come to need a line of its own.
    if (!this.drawScale(scene) || this.roomNow() === this.room) return;
    this.layOut();
    this.context.drawing(this.loadView().catch((error: unknown) => this.context.fail(error)));
  }

  private roomNow(): string {
    const { body } = this.elements;
    return `${body.clientWidth} ${body.clientHeight}`;
  }

  private numberStyle(): NumberStyle {
    return { decimals: this.context.trace.precision.decimals, format: this.context.format };
  }

  /** Draws the legend where it has changed, and says whether it has. */
  private drawScale(scene: Scene): boolean {
    const { legend } = this.elements;
    const { format } = this.context;
    const notes = this.notes(scene);
    const stamp = [scene.range.scale, scene.range.max, scene.colours.dark, ...notes.map((note) => note.text)].join();
    if (stamp === this.legendStamp) return false;
    this.legendStamp = stamp;
    const root = select(legend);
    root.selectAll("*").remove();
    const group = root.append("g").attr("transform", "translate(4,3)").attr("font-family", FONT_FAMILY).attr("font-size", 10);
    const bar = legendWidth(scene.range.scale);
    const width = drawLegend(group, bar, heatTicks(scene.range, bar), (share) => scene.colours.heat(share), notes, scene.colours);
    root.attr("width", width + 8).attr("height", LEGEND_HEIGHT);
    root.attr("aria-label", `Colours from 0 to ${format(scene.range.max)}, ${scene.range.scale === "log" ? "logarithmic" : "linear"}`);
    return true;
  }

  /** Where tokens are taken out or hidden, a row may have had all of its weight on them. */
  private rowWithoutWeight(): string {
    const { special, sink, pair } = this.context.store.selection;
    return special === "show" && sink === "show" && pair === "all" ? "row without weight (masked)" : "row without weight on what is shown";
  }

  private notes({ tiles, colours }: Scene): LegendNote[] {
    const notes: LegendNote[] = [];
    if (tiles.hasMissing) notes.push({ fill: colours.missing, hatch: false, text: "not a number" });
    if (tiles.hasLeftOut) notes.push({ fill: leftOutColour(colours), hatch: true, text: "not in this file" });
    if (this.hatched) notes.push({ fill: colours.heat(0), hatch: true, text: this.rowWithoutWeight() });
    if (tiles.hasNegative) notes.push({ fill: colours.heat(0), hatch: false, text: "0 or negative" });
    return notes;
  }

  /** Rulers, cross-hair and pins; the pixels stay as they are. */
  drawMarks(): void {
    const parts = this.overlayParts();
    if (parts !== null && !this.stopped) drawOverlay(this.elements.overlay, parts);
  }

  private overlayParts(): OverlayParts | null {
    const { tiles, layout, context } = this;
    const scene = this.scene();
    if (tiles === null || layout === null || scene === null) return null;
    const { item } = context.store.selection;
    const { rows, columns, sorted } = tiles.order;
    return {
      scene,
      layout,
      rows: sideOf(context.queryAxis(), item, rows, sorted !== "rows"),
      columns: sideOf(context.keyAxis(), item, columns, sorted !== "columns"),
      marks: this.marks(tiles.order),
    };
  }

  private marks({ rows, columns, sorted }: MatrixOrder): Marks {
    const { context } = this;
    const { selection, focus } = context.store;
    const lines = (query: number | null, key: number | null): Lines => ({
      row: query === null ? null : (this.rowOf.get(query) ?? null),
      column: key === null ? null : (this.columnOf.get(key) ?? null),
    });
    const found = (axis: AxisInfo, places: ReadonlyMap<number, number>): number[] =>
      matchingPositions(axis, selection.item, selection.search).flatMap((position) => places.get(position) ?? []);
    return {
      focus: lines(focus.query, focus.key),
      pinned: lines(selection.query, selection.key),
      rowBoundaries: sorted === "rows" ? [] : boundaries(context.queryAxis(), selection.item, rows),
      columnBoundaries: sorted === "columns" ? [] : boundaries(context.keyAxis(), selection.item, columns),
      foundRows: found(context.queryAxis(), this.rowOf),
      foundColumns: found(context.keyAxis(), this.columnOf),
    };
  }

  exportParts(): Omit<MatrixExport, "title" | "lines"> | null {
    const [overlay, scene] = [this.overlayParts(), this.scene()];
    if (overlay === null || scene === null) return null;
    const canvas = document.createElement("canvas");
    this.painter.paint(canvas, scene);
    const width = legendWidth(scene.range.scale);
    const ticks = heatTicks(scene.range, width);
    return { canvas, overlay, numbers: cellNumbers(scene, this.numberStyle()), legend: { ticks, notes: this.notes(scene), width } };
  }

  stop(): void {
    this.stopped = true;
    cancelAnimationFrame(this.frame);
  }
}
