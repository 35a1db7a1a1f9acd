/** How the room of the view is shared between the matrix and its rulers, and what is written on these. */

import { labelOf } from "../data/tokens";
import type { AxisInfo } from "../source/trace-info";
import { columnTurn, turnedSpacing, widestLabel, type Measure, type RulerRequest, type Turn } from "../draw/rulers";
import { FONT_SIZE } from "../draw/rulers-draw";
import { fitMatrix, type Fit } from "./matrix-camera";
import type { MatrixOrder } from "./matrix-order";

const LEAST_LEFT = 82;
const MOST_LEFT = 132;
const MOST_TOP = 92;
const LEVEL_TOP = 30;
const BESIDE_LABEL = 14;
const LINE_HEIGHT = FONT_SIZE + 3;
/** What the small pictures of the other heads need, beside or below. */
export const SIDE_WIDTH = 184;
export const SIDE_HEIGHT = 92;

export interface MatrixLayout {
  /** Pixels of the rulers at the left and at the top. */
  readonly left: number;
  readonly top: number;
  /** Room at the right for the column labels that lean over it. */
  readonly right: number;
  /** The widest column label, cut to the room there is. */
  readonly widest: number;
  readonly fit: Fit;
}

/** The labels of one side, by row or column. */
export interface Side {
  readonly count: number;
  readonly inOrder: boolean;
  label(index: number): string;
  position(index: number): number;
}

export function sideOf(axis: AxisInfo, item: number, positions: readonly number[], inOrder: boolean): Side {
  const position = (index: number): number => positions[index] ?? 0;
  return { count: positions.length, inOrder, position, label: (index) => labelOf(axis, item, position(index)) };
}

export function labelsOf(axis: AxisInfo, item: number, positions: readonly number[]): string[] {
  return positions.map((position) => labelOf(axis, item, position));
}

export function layoutMatrix(
  width: number,
  height: number,
  order: MatrixOrder,
  labels: { rows: readonly string[]; columns: readonly string[] },
  measure: Measure,
): MatrixLayout {
  const left = Math.max(LEAST_LEFT, widestLabel(labels.rows, MOST_LEFT - BESIDE_LABEL, measure) + BESIDE_LABEL);
  const widest = widestLabel(labels.columns, MOST_TOP - BESIDE_LABEL, measure);
  const [rows, columns] = [order.rows.length, order.columns.length];
  const level = fitMatrix(width - left, height - LEVEL_TOP, rows, columns);
  if (columnTurn(level.cellWidth, widest) === 0) return { left, top: LEVEL_TOP, right: 0, widest, fit: level };
  const top = Math.max(LEVEL_TOP, widest + BESIDE_LABEL);
  const right = Math.ceil(widest * Math.cos(Math.PI / 3));
  return { left, top, right, widest, fit: fitMatrix(width - left - right, height - top, rows, columns) };
}

/** Where the other heads stand: beside the picture or below it, whichever leaves its cells larger. */
export function sidePlace(width: number, height: number, order: MatrixOrder): "beside" | "below" {
  const [rows, columns] = [order.rows.length, order.columns.length];
  const [across, down] = [width - LEAST_LEFT, height - LEVEL_TOP];
  const beside = fitMatrix(across - SIDE_WIDTH, down, rows, columns);
  const below = fitMatrix(across, down - SIDE_HEIGHT, rows, columns);
  return beside.width * beside.height >= below.width * below.height ? "beside" : "below";
}

/** The top ruler for a zoom: how labels are turned, and what is asked of the layout of marks. */
export function topRuler(layout: MatrixLayout, side: Side, cell: number, offset: number): { turn: Turn; request: RulerRequest } {
  const level = layout.top <= LEVEL_TOP;
  const turn = level ? 0 : columnTurn(cell, layout.widest);
  const spacing = turnedSpacing(turn, LINE_HEIGHT, layout.widest);
  return { turn, request: { ...common(side, cell, offset), length: layout.fit.width, spacing, numberSpacing: 44 } };
}

export function leftRuler(layout: MatrixLayout, side: Side, cell: number, offset: number): RulerRequest {
  // The same as of upright words above: of as many rows as columns the same tokens are named.
  return { ...common(side, cell, offset), length: layout.fit.height, spacing: LINE_HEIGHT, numberSpacing: 22 };
}

function common(side: Side, cell: number, offset: number) {
  const { count, inOrder } = side;
  return { count, cell, offset, inOrder, label: (index: number) => side.label(index), position: (index: number) => side.position(index) };
}

/** Where one sentence ends and the next begins: rows (or columns) that differ in segment from the one before. */
export function boundaries(axis: AxisInfo, item: number, positions: readonly number[]): number[] {
  const segments = axis.segments?.[item];
  if (segments === undefined) return [];
  const found: number[] = [];
  for (let index = 1; index < positions.length; index += 1) {
    if (segments[positions[index] ?? 0] !== segments[positions[index - 1] ?? 0]) found.push(index);
  }
  return found;
}
