/** All that a drawing of the matrix depends on, and where things are in it. */

import type { ZoomTransform } from "d3-zoom";
import { mostOf } from "../data/weights";
import type { Colours } from "../draw/colours";
import type { HeatRange } from "../draw/heatmap";
import type { Fit } from "./matrix-camera";
import { visibleWindow } from "./matrix-camera";
import { stepFor, type MatrixTile, type MatrixTiles, type Resolution, type Window } from "./matrix-tiles";

export interface Scene {
  readonly tiles: MatrixTiles;
  readonly fit: Fit;
  readonly at: ZoomTransform;
  /** Device pixels of a CSS pixel. */
  readonly density: number;
  readonly range: HeatRange;
  readonly colours: Colours;
}

/** A row and a column of the picture, in the order in which they are drawn. */
export interface Cell {
  readonly row: number;
  readonly column: number;
}

/** What can be told apart on the screen: one cell of weights, or a cell pooled from several. */
export function resolutionOf(scene: Scene): Resolution {
  const { fit, at, density } = scene;
  return {
    rowStep: stepFor(fit.cellHeight * at.k * density),
    columnStep: stepFor(fit.cellWidth * at.k * density),
  };
}

/** The resolution with which all of the picture is seen at once. */
export function overviewResolution(fit: Fit, density: number): Resolution {
  return { rowStep: stepFor(fit.cellHeight * density), columnStep: stepFor(fit.cellWidth * density) };
}

export function wholeWindow(fit: Fit): Window {
  return { firstRow: 0, lastRow: fit.rows, firstColumn: 0, lastColumn: fit.columns };
}

export function windowOf(scene: Scene): Window {
  return visibleWindow(scene.fit, scene.at);
}

/** The first row and column of which no part is out of sight. */
export function firstWholeCell({ fit, at }: Scene): Cell {
  const first = (from: number, cell: number): number => Math.max(0, Math.ceil(-from / (cell * at.k) - 1e-6));
  return { row: first(at.y, fit.cellHeight), column: first(at.x, fit.cellWidth) };
}

/** The row and column under a point of the picture, or null beside it. */
export function cellAt(scene: Pick<Scene, "fit" | "at">, x: number, y: number): Cell | null {
  const { fit, at } = scene;
  if (x < 0 || y < 0 || x >= fit.width || y >= fit.height) return null;
  const column = Math.floor((x - at.x) / (fit.cellWidth * at.k));
  const row = Math.floor((y - at.y) / (fit.cellHeight * at.k));
  if (row < 0 || column < 0 || row >= fit.rows || column >= fit.columns) return null;
  return { row, column };
}

/** Left, top, width and height of a window in the picture, in CSS pixels. */
export function boxOf(scene: Pick<Scene, "fit" | "at">, window: Window): { x: number; y: number; width: number; height: number } {
  const { fit, at } = scene;
  const [wide, high] = [fit.cellWidth * at.k, fit.cellHeight * at.k];
  return {
    x: at.x + window.firstColumn * wide,
    y: at.y + window.firstRow * high,
    width: (window.lastColumn - window.firstColumn) * wide,
    height: (window.lastRow - window.firstRow) * high,
  };
}

/** A weight, and what it is at most, which is more where the source does not hold all of it. */
export interface KnownWeight {
  readonly weight: number;
  readonly most: number;
}

/** What is drawn at a cell, from the tiles that are there; undefined where none has arrived. */
export function weightAt(tiles: readonly MatrixTile[], cell: Cell): KnownWeight | undefined {
  const tile = tiles.find(
    (one) =>
      cell.row >= one.firstRow && cell.row < one.lastRow && cell.column >= one.firstColumn && cell.column < one.lastColumn,
  );
  if (tile === undefined) return undefined;
  const row = Math.floor((cell.row - tile.firstRow) / tile.rowStep);
  const column = Math.floor((cell.column - tile.firstColumn) / tile.columnStep);
  const place = row * tile.columns + column;
  return { weight: tile.values[place] ?? Number.NaN, most: mostOf(tile, place) };
}

/** Rows of a tile that hold nothing but zeros; meaningful for a tile as wide as the matrix. */
export function emptyRows(tile: MatrixTile): number[] {
  const empty: number[] = [];
  for (let row = 0; row < tile.rows; row += 1) {
    const line = tile.values.subarray(row * tile.columns, (row + 1) * tile.columns);
    if (line.every((weight) => weight === 0)) empty.push(row);
  }
  return empty;
}
