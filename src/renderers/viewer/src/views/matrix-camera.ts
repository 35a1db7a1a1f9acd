/** Where the matrix is looked at from: the size of its cells, and what zooming and panning make of it. */

import { select } from "d3-selection";
import { zoom, zoomIdentity, zoomTransform, type D3ZoomEvent, type ZoomBehavior, type ZoomTransform } from "d3-zoom";
import type { Window } from "./matrix-tiles";

/** The picture when all of it is in view. Pixels. */
export interface Fit {
  readonly width: number;
  readonly height: number;
  readonly cellWidth: number;
  readonly cellHeight: number;
  readonly rows: number;
  readonly columns: number;
}

/** A few tokens do not fill a screen with giant squares. */
const LARGEST_CELL = 72;
/** One row of very many keys would be a hair: a side as short as this is made longer than its squares. */
const LEAST_SIDE = 120;
/** Zooming ends when a cell is this large. */
const ZOOMED_CELL = 72;

/** The largest square cells with which all rows and columns fit into `width` x `height`. */
export function fitMatrix(width: number, height: number, rows: number, columns: number): Fit {
  const wide = Math.min(LARGEST_CELL, Math.max(1, width) / columns);
  const high = Math.min(LARGEST_CELL, Math.max(1, height) / rows);
  const square = Math.min(wide, high);
  const cellWidth = Math.min(wide, Math.max(square, LEAST_SIDE / columns));
  const cellHeight = Math.min(high, Math.max(square, LEAST_SIDE / rows));
  return { width: cellWidth * columns, height: cellHeight * rows, cellWidth, cellHeight, rows, columns };
}

/** How far one can zoom in: until the smaller side of a cell has `ZOOMED_CELL` pixels, and at least a little. */
export function mostZoom(fit: Fit): number {
  return Math.max(1, ZOOMED_CELL / Math.min(fit.cellWidth, fit.cellHeight));
}

/** Rows and columns that are in view, whole or in part. */
export function visibleWindow(fit: Fit, at: ZoomTransform): Window {
  const [wide, high] = [fit.cellWidth * at.k, fit.cellHeight * at.k];
  // A hair less than a cell at the far edge is rounding, not a cell.
  const until = (pixels: number, cell: number, count: number): number =>
    Math.min(count, Math.max(1, Math.ceil(pixels / cell - 1e-6)));
  return {
    firstRow: Math.min(fit.rows - 1, Math.max(0, Math.floor(-at.y / high + 1e-6))),
    lastRow: until(fit.height - at.y, high, fit.rows),
    firstColumn: Math.min(fit.columns - 1, Math.max(0, Math.floor(-at.x / wide + 1e-6))),
    lastColumn: until(fit.width - at.x, wide, fit.columns),
  };
}

/** The nearest transform that keeps the picture over the whole window, and its zoom within the limits. */
export function clampCamera(fit: Fit, at: { k: number; x: number; y: number }): ZoomTransform {
  const k = Math.min(mostZoom(fit), Math.max(1, at.k));
  const x = Math.min(0, Math.max(fit.width * (1 - k), at.x));
  const y = Math.min(0, Math.max(fit.height * (1 - k), at.y));
  return zoomIdentity.translate(x, y).scale(k);
}

/** The transform with which `window` is in view, as large as it fits; its rows and columns may be too many. */
export function cameraFor(fit: Fit, window: Window): ZoomTransform {
  const { firstRow, lastRow, firstColumn, lastColumn } = window;
  const across = fit.columns / Math.max(1, Math.min(fit.columns, lastColumn) - firstColumn);
  const down = fit.rows / Math.max(1, Math.min(fit.rows, lastRow) - firstRow);
  const k = Math.min(across, down, mostZoom(fit));
  return clampCamera(fit, { k, x: -firstColumn * fit.cellWidth * k, y: -firstRow * fit.cellHeight * k });
}

/** Ties d3-zoom to the element that the pointer moves over; `onMove` is told of every change but that of the size. */
export class Camera {
  private readonly behaviour: ZoomBehavior<HTMLElement, unknown>;
  private fit: Fit = fitMatrix(1, 1, 1, 1);
  private resizing = false;
  private byHand = true;

  constructor(
    private readonly target: HTMLElement,
    /** Told whether the person has moved it, or a link or a change of the picture. */
    onMove: (byHand: boolean) => void,
  ) {
    this.behaviour = zoom<HTMLElement, unknown>()
      .clickDistance(4)
      .duration(window.matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 160)
      .on("start", (event: D3ZoomEvent<HTMLElement, unknown>) => {
        if (event.sourceEvent instanceof MouseEvent && event.sourceEvent.type === "mousedown") target.dataset["panning"] = "";
      })
      .on("zoom", () => {
        if (!this.resizing) onMove(this.byHand);
      })
      .on("end", () => delete target.dataset["panning"]);
    select(target).call(this.behaviour);
  }

  get at(): ZoomTransform {
    return zoomTransform(this.target);
  }

  /** Takes a new size; the middle of what was in view stays in the middle, or, for another picture, all is shown. */
  resize(fit: Fit, keepView: boolean): void {
    const { k, x, y } = keepView ? this.at : zoomIdentity;
    // Shares of the whole picture that stand in the middle of the window.
    const across = (this.fit.width / 2 - x) / (this.fit.width * k);
    const down = (this.fit.height / 2 - y) / (this.fit.height * k);
    this.fit = fit;
    const corners: [[number, number], [number, number]] = [[0, 0], [fit.width, fit.height]];
    this.behaviour.extent(corners).translateExtent(corners).scaleExtent([1, mostZoom(fit)]);
    this.resizing = true;
    this.moveTo({ k, x: fit.width / 2 - across * fit.width * k, y: fit.height / 2 - down * fit.height * k });
    this.resizing = false;
  }

  moveTo(at: { k: number; x: number; y: number }): void {
    select(this.target).call(this.behaviour.transform, clampCamera(this.fit, at));
  }

  /** Zooms in or out around a point of the window, or around its middle. */
  zoomBy(factor: number, around?: readonly [number, number]): void {
    const [x, y] = around ?? [this.fit.width / 2, this.fit.height / 2];
    select(this.target).call(this.behaviour.scaleBy, factor, [x, y]);
  }

  panBy(x: number, y: number): void {
    const { at } = this;
    this.moveTo({ k: at.k, x: at.x + x, y: at.y + y });
  }

  fitAll(): void {
    this.moveTo(zoomIdentity);
  }

  /** Goes to the first column, or to the first row, and stays where it is along the other. */
  toEdge(edge: "left" | "top"): void {
    const { k, x, y } = this.at;
    this.moveTo(edge === "left" ? { k, x: 0, y } : { k, x, y: 0 });
  }

  /** Shows these rows and columns, as large as they fit; null for all. */
  showWindow(window: Window | null): void {
    this.byHand = false;
    this.moveTo(window === null ? zoomIdentity : cameraFor(this.fit, window));
    this.byHand = true;
  }

  /** Moves as little as is needed for a row and a column (either may be null) to be in view. */
  reveal(row: number | null, column: number | null): void {
    const { at, fit } = this;
    const nudge = (index: number | null, cell: number, from: number, room: number): number => {
      if (index === null) return from;
      const [begin, end] = [index * cell + from, (index + 1) * cell + from];
      if (begin < 0) return from - begin;
      return end > room ? from - (end - room) : from;
    };
    const x = nudge(column, fit.cellWidth * at.k, at.x, fit.width);
    const y = nudge(row, fit.cellHeight * at.k, at.y, fit.height);
    if (x !== at.x || y !== at.y) this.moveTo({ k: at.k, x, y });
  }

  destroy(): void {
    select(this.target).on(".zoom", null);
  }
}
