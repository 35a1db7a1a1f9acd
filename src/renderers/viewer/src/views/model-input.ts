/** Mouse and keyboard of the model view's grid. */

import type { KeyHelp } from "./view";
import type { ModelGrid } from "./model-grid";
import type { HeadPlace } from "./model-tiles";

export const MODEL_HELP: readonly KeyHelp[] = [
  { keys: "← → ↑ ↓", does: "Go through heads and layers" },
  { keys: "Home / End", does: "First, last head of the row" },
  { keys: "Page Up / Page Down", does: "First, last row" },
  { keys: "Enter / Click", does: "Open the head in the head view" },
  { keys: "Shift+Enter / Shift+Click", does: "Open the head in the matrix view" },
];

export interface Cell {
  readonly row: number;
  readonly column: number;
}

/** Where a key press moves the cursor to; null when it is not a movement. `widths` are the numbers of heads by row. */
export function movedCell(key: string, { row, column }: Cell, widths: readonly number[]): Cell | null {
  const moves: Record<string, Cell> = {
    ArrowLeft: { row, column: column - 1 },
    ArrowRight: { row, column: column + 1 },
    ArrowUp: { row: row - 1, column },
    ArrowDown: { row: row + 1, column },
    Home: { row, column: 0 },
    End: { row, column: Number.POSITIVE_INFINITY },
    PageUp: { row: 0, column },
    PageDown: { row: Number.POSITIVE_INFINITY, column },
  };
  const wanted = moves[key];
  if (wanted === undefined || widths.length === 0) return null;
  const nextRow = Math.min(widths.length - 1, Math.max(0, wanted.row));
  return { row: nextRow, column: Math.min((widths[nextRow] ?? 1) - 1, Math.max(0, wanted.column)) };
}

export interface GridActions {
  point(place: HeadPlace | null): void;
  /** The keyboard has come to a head. */
  arrive(place: HeadPlace): void;
  open(place: HeadPlace, inMatrix: boolean): void;
  leave(): void;
  /** The head that the keyboard is at, or begins with. */
  cursor(): HeadPlace | null;
}

/** Returns a function that stops listening. */
export function followGrid(grid: ModelGrid, actions: GridActions): () => void {
  const stop = new AbortController();
  const { signal } = stop;
  const { element } = grid;
  element.addEventListener("pointermove", (event) => actions.point(grid.headAt(event.target)), { signal });
  element.addEventListener("pointerleave", () => actions.leave(), { signal });
  element.addEventListener("click", (event) => {
    const place = grid.headAt(event.target);
    if (place !== null) actions.open(place, event.shiftKey);
  }, { signal });
  element.addEventListener("keydown", (event) => onKey(grid, actions, event), { signal });
  element.addEventListener("focus", () => {
    const place = actions.cursor();
    if (place !== null && element.matches(":focus-visible")) actions.arrive(place);
  }, { signal });
  element.addEventListener("blur", () => actions.leave(), { signal });
  return () => stop.abort();
}

function onKey(grid: ModelGrid, actions: GridActions, event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const place = actions.cursor();
  const cell = place === null ? null : grid.placeOf(place);
  if (place === null || cell === null) return;
  const widths = grid.lines.map((line) => line.cells.length);
  const moved = movedCell(event.key, cell, widths);
  const reached = moved === null ? undefined : grid.lines[moved.row]?.cells[moved.column];
  if (reached !== undefined) actions.arrive({ layer: reached.layer, head: reached.head });
  else if (event.key === "Enter" || event.key === " ") actions.open(place, event.shiftKey);
  else return;
  event.preventDefault();
}
