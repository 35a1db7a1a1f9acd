/** What the pointer and the cursor keys do in the matrix: the cross-hair, the tooltip, pins, zooming and panning. */

import { heatShare } from "../draw/heatmap";
import type { Camera } from "./matrix-camera";
import type { MatrixElements } from "./matrix-elements";
import type { InputActions } from "./matrix-input";
import type { MatrixPicture } from "./matrix-picture";
import { describePointed, readPointed, sayPointed, type Pointed } from "./matrix-pointed";
import { cellAt, firstWholeCell, resolutionOf, weightAt, windowOf, type Cell, type Scene } from "./matrix-scene";
import { wordAt } from "./matrix-words";
import type { ViewContext } from "./view";

/** Characters that fit into a line of the tooltip. */
const LONG_WORD = 40;

type Place = { readonly cell: Cell } | { readonly row: number } | { readonly column: number };

export class MatrixPointer implements InputActions {
  /** Where the cursor keys start from. */
  private cursor: Cell = { row: 0, column: 0 };
  private hasCursor = false;
  private ticket = 0;

  constructor(
    private readonly context: ViewContext,
    private readonly elements: MatrixElements,
    private readonly camera: Camera,
    private readonly picture: MatrixPicture,
  ) {}

  hover(x: number, y: number, client: readonly [number, number]): void {
    const place = this.placeAt(x, y);
    this.elements.stage.title = "";
    if (place === null) this.leave();
    else if ("cell" in place) this.track(this.pointAt(place.cell, client));
    else this.hoverRuler(place, client);
  }

  leave(): void {
    this.ticket += 1;
    this.context.store.point({});
    this.context.tooltip.hide();
  }

  click(x: number, y: number): void {
    const place = this.placeAt(x, y);
    const { store } = this.context;
    if (place === null) return;
    if ("cell" in place) {
      this.track(this.pinCell(place.cell));
    } else if ("row" in place) {
      const query = this.picture.order?.rows[place.row] ?? null;
      store.select({ query: query === store.selection.query ? null : query });
    } else {
      const key = this.picture.order?.columns[place.column] ?? null;
      store.select({ key: key === store.selection.key ? null : key });
    }
  }

  move(rows: number, columns: number): void {
    const scene = this.picture.scene();
    if (scene === null) return;
    const { rowStep, columnStep } = resolutionOf(scene);
    const clamp = (at: number, by: number, count: number): number => Math.min(count - 1, Math.max(0, at + by));
    // The first key only shows where the cursor is: at the first cell that is whole in sight.
    const start = this.hasCursor ? this.cursor : firstWholeCell(scene);
    const [down, across] = this.hasCursor ? [rows * rowStep, columns * columnStep] : [0, 0];
    const cell = {
      row: clamp(start.row, down, scene.fit.rows),
      column: clamp(start.column, across, scene.fit.columns),
    };
    this.camera.reveal(cell.row, cell.column);
    this.track(this.pointAt(cell, null));
  }

  pin(): void {
    if (this.hasCursor) this.track(this.pinCell(this.cursor));
  }

  pan(x: number, y: number): void {
    this.camera.panBy(x, y);
  }

  zoom(factor: number): void {
    const scene = this.picture.scene();
    if (scene === null) return;
    const { fit, at } = scene;
    const x = at.x + (this.cursor.column + 0.5) * fit.cellWidth * at.k;
    const y = at.y + (this.cursor.row + 0.5) * fit.cellHeight * at.k;
    const inView = this.hasCursor && x >= 0 && y >= 0 && x <= fit.width && y <= fit.height;
    if (inView) this.camera.zoomBy(factor, [x, y]);
    else this.camera.zoomBy(factor);
  }

  fit(): void {
    this.camera.fitAll();
  }

  /** Answers that are still under way are ignored. */
  stop(): void {
    this.ticket += 1;
  }

  private placeAt(x: number, y: number): Place | null {
    const scene = this.picture.scene();
    const { layout } = this.picture;
    if (scene === null || layout === null) return null;
    const [inX, inY] = [x - layout.left, y - layout.top];
    const cell = cellAt(scene, inX, inY);
    if (cell !== null) return { cell };
    // The rulers: the same row or column, seen from its label.
    const row = inX < 0 ? cellAt(scene, 0, inY) : null;
    if (row !== null) return { row: row.row };
    const column = inY < 0 ? cellAt(scene, inX, 0) : null;
    return column === null ? null : { column: column.column };
  }

  private hoverRuler(place: { row: number } | { column: number }, client: readonly [number, number]): void {
    this.ticket += 1;
    const { store, tooltip } = this.context;
    const side = "row" in place ? "query" : "key";
    const position = "row" in place ? this.picture.order?.rows[place.row] : this.picture.order?.columns[place.column];
    if (position === undefined) return;
    store.point(side === "query" ? { query: position } : { key: position });
    const word = wordAt(this.context, side, position);
    tooltip.show(...client, word, [{ label: side, value: String(position) }]);
    // The tooltip has one line; the browser's own shows the rest of a very long token.
    this.elements.stage.title = word.length > LONG_WORD ? word.slice(0, 2000) : "";
  }

  /** Moves the cross-hair to a cell, then says what is there, near `client` or, for the keyboard, near the cell. */
  private async pointAt(cell: Cell, client: readonly [number, number] | null): Promise<void> {
    const ticket = (this.ticket += 1);
    this.cursor = cell;
    this.hasCursor = true;
    const pointed = this.known(cell) ?? (await this.read(cell));
    const scene = this.picture.scene();
    if (ticket !== this.ticket || pointed === null || scene === null) return;
    const { store, tooltip, format, announce } = this.context;
    store.point({ query: pointed.query, key: pointed.key });
    const words = this.wordsOf(pointed);
    // A weight that is not known has no bar: an empty one would look like nothing.
    const bar = Number.isNaN(pointed.weight)
      ? {}
      : { share: Math.min(1, Math.max(0, pointed.weight)), colour: scene.colours.heat(heatShare(pointed.weight, scene.range)) };
    const weight = { text: format(pointed.weight, pointed.most), ...bar };
    const { title, rows } = describePointed(pointed, words, weight);
    tooltip.show(...(client ?? this.clientOf(scene, cell)), title, rows);
    const spoken = sayPointed(pointed, words, weight.text);
    this.elements.canvas.setAttribute("aria-label", spoken);
    if (client === null) announce(spoken);
  }

  private wordsOf(pointed: Pointed): readonly [string, string] {
    return [wordAt(this.context, "query", pointed.query), wordAt(this.context, "key", pointed.key)];
  }

  /** The answer at once, where every weight has a cell of its own and has arrived. */
  private known(cell: Cell): Pointed | null {
    const [scene, order] = [this.picture.scene(), this.picture.order];
    if (scene === null || order === null) return null;
    const resolution = resolutionOf(scene);
    if (resolution.rowStep > 1 || resolution.columnStep > 1) return null;
    const known = weightAt(scene.tiles.loaded(windowOf(scene), resolution), cell);
    const [query, key] = [order.rows[cell.row], order.columns[cell.column]];
    if (known === undefined || query === undefined || key === undefined) return null;
    return { query, key, ...known, among: [1, 1] };
  }

  private async read(cell: Cell): Promise<Pointed | null> {
    const [scene, order, series] = [this.picture.scene(), this.picture.order, this.picture.series];
    if (scene === null || order === null || series === null) return null;
    return readPointed(this.context.reader, series, this.context.store.selection.item, order, cell, resolutionOf(scene));
  }

  private async pinCell(cell: Cell): Promise<void> {
    const ticket = (this.ticket += 1);
    this.cursor = cell;
    this.hasCursor = true;
    const pointed = this.known(cell) ?? (await this.read(cell));
    if (pointed === null || ticket !== this.ticket) return;
    const { store, announce } = this.context;
    const { query, key } = store.selection;
    const again = query === pointed.query && key === pointed.key;
    store.select(again ? { query: null, key: null } : { query: pointed.query, key: pointed.key });
    announce(again ? "Let go" : `Pinned ${this.wordsOf(pointed).join(" to ")}`);
  }

  /** The lower right corner of a cell, in the window. */
  private clientOf(scene: Scene, cell: Cell): [number, number] {
    const box = this.elements.pane.getBoundingClientRect();
    const { fit, at } = scene;
    return [box.left + at.x + (cell.column + 1) * fit.cellWidth * at.k, box.top + at.y + (cell.row + 1) * fit.cellHeight * at.k];
  }

  private track(work: Promise<unknown>): void {
    this.context.drawing(work.catch((error: unknown) => this.context.fail(error)));
  }
}
