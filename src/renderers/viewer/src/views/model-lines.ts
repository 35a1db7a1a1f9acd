/** The rows of the model view's grid: one a layer, or the heads of all layers one after the other. */

import { groupOf } from "../shell/layers";
import type { LayerInfo, TraceInfo } from "../source/trace-info";
import type { Selection } from "../state/selection";
import { figureText, layerName, shortLayerName } from "./model-words";
import { figureOf, matchesPattern, orderedHeads, rankedHeads } from "./model-order";
import type { HeadPlace } from "./model-tiles";

export interface GridCell extends HeadPlace {
  readonly info: LayerInfo;
  /** Stands back, as it has not the pattern asked for. */
  readonly dimmed: boolean;
  /** Words below the picture: which head it is, and the figure by which it is ordered. "" for none. */
  readonly name: string;
  readonly figure: string;
}

export interface GridLine {
  /** What stands before the row, and the whole of it. */
  readonly name: string;
  readonly title: string;
  /** The layer whose heads these are; null for a row of a ranked list. */
  readonly layer: number | null;
  readonly cells: readonly GridCell[];
}

export type LineChoice = Pick<Selection, "layer" | "item" | "order" | "descending" | "ranked" | "pattern" | "only">;

/** Whether heads have names of their own, as the columns' numbers do not tell which they are. */
export function hasCaptions(trace: TraceInfo, { layer, order, ranked, only, pattern }: LineChoice): boolean {
  return order !== "number" || ranked || (only && pattern !== "") || !columnsAgree(trace, layer);
}

/** Whether the heads of a column have one number in all layers; they have not where other heads of each were selected. */
function columnsAgree(trace: TraceInfo, layer: number): boolean {
  const numbers: number[] = [];
  const agrees = (number: number, column: number): boolean => (numbers[column] ??= number) === number;
  return groupOf(trace, layer).layers.every((place) => trace.layers[place]?.heads.every(agrees) ?? true);
}

/** `columns`: heads in a row of a ranked list. */
export function gridLines(trace: TraceInfo, choice: LineChoice, columns: number): GridLine[] {
  return choice.ranked ? rankedLines(trace, choice, columns) : layerLines(trace, choice);
}

/** How many heads a ranked list has. */
export function rankedCount(trace: TraceInfo, choice: LineChoice): number {
  return rankedCells(trace, choice).length;
}

function layerLines(trace: TraceInfo, choice: LineChoice): GridLine[] {
  return groupOf(trace, choice.layer).layers.flatMap((layer) => {
    const info = trace.layers[layer];
    if (info === undefined) return [];
    const heads = orderedHeads(info, choice.item, choice.order, choice.descending);
    const cells = heads.map((head) => cellOf({ layer, head }, info, choice, String(info.heads[head] ?? head)));
    const shown = cells.filter((cell) => !choice.only || !cell.dimmed);
    const title = `${layerName(trace, layer)}: ${info.name}`;
    return shown.length === 0 ? [] : [{ name: shortLayerName(trace, layer), title, layer, cells: shown }];
  });
}

function rankedLines(trace: TraceInfo, choice: LineChoice, columns: number): GridLine[] {
  const cells = rankedCells(trace, choice);
  const lines: GridLine[] = [];
  for (let first = 0; first < cells.length; first += columns) {
    const row = cells.slice(first, first + columns);
    const title = `Heads ${first + 1} to ${first + row.length} of ${cells.length}`;
    lines.push({ name: `${first + 1}`, title, layer: null, cells: row });
  }
  return lines;
}

function rankedCells(trace: TraceInfo, choice: LineChoice): GridCell[] {
  const { layers } = groupOf(trace, choice.layer);
  return rankedHeads(trace, layers, choice.item, choice.order, choice.descending).flatMap(({ layer, head }) => {
    const info = trace.layers[layer];
    if (info === undefined) return [];
    const cell = cellOf({ layer, head }, info, choice, `${shortLayerName(trace, layer)}.${info.heads[head] ?? head}`);
    return choice.only && cell.dimmed ? [] : [cell];
  });
}

function cellOf(place: HeadPlace, info: LayerInfo, choice: LineChoice, name: string): GridCell {
  const { item, order, pattern } = choice;
  const figure = figureText(order, figureOf(info, item, order, place.head), info.statistics[item]?.pattern[place.head] ?? "");
  return { ...place, info, dimmed: !matchesPattern(info, item, place.head, pattern), name, figure };
}
