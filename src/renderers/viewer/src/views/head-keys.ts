/** The head view's keyboard: two listboxes, one cursor each. */

import type { KeyHelp } from "./view";

export type Side = "query" | "key";

export const HEAD_HELP: readonly KeyHelp[] = [
  { keys: "↑ ↓", does: "Previous, next token" },
  { keys: "← →", does: "Attending tokens, attended tokens" },
  { keys: "Home / End, Page Up / Page Down", does: "First, last token, a page up, a page down" },
  { keys: "Enter", does: "Pin the token, or take the pin away" },
  { keys: "Click", does: "On a token: pin it. On a line: pin both its ends" },
];

/** Where a key press moves the cursor to; null when it is not a movement. */
export function movedRow(key: string, row: number, count: number, page: number): number | null {
  const moves: Record<string, number> = {
    ArrowUp: row - 1,
    ArrowDown: row + 1,
    PageUp: row - page,
    PageDown: row + page,
    Home: 0,
    End: count - 1,
  };
  const wanted = moves[key];
  return wanted === undefined || count === 0 ? null : Math.min(count - 1, Math.max(0, wanted));
}

export interface KeyColumn {
  readonly element: HTMLElement;
  count(): number;
  /** Rows in a page. */
  page(): number;
}

export interface KeyActions {
  /** The keyboard has come to a row, which is to be brought into the window. */
  arrive(side: Side, row: number): void;
  pin(side: Side, row: number): void;
  leave(): void;
  /** The row to begin with when a column gets the focus for the first time. */
  firstRow(side: Side): number;
}

/** Remembers a cursor for each column and tells what it does. */
export class HeadKeys {
  private readonly rows: Record<Side, number | null> = { query: null, key: null };
  private readonly stop = new AbortController();

  constructor(
    private readonly columns: Record<Side, KeyColumn>,
    private readonly actions: KeyActions,
  ) {
    const { signal } = this.stop;
    for (const side of ["query", "key"] as const) {
      const { element } = columns[side];
      element.addEventListener("keydown", (event) => this.onKey(side, event), { signal });
      element.addEventListener("focus", () => this.onFocus(side), { signal });
      element.addEventListener("blur", () => actions.leave(), { signal });
    }
  }

  /** The row with the cursor in a column that has the keyboard; null in the other one. */
  cursor(side: Side): number | null {
    return document.activeElement === this.columns[side].element ? this.rows[side] : null;
  }

  /** The mouse moves the cursor too, so that the keyboard goes on from there. */
  moveTo(side: Side, row: number | null): void {
    this.rows[side] = row;
  }

  /** Other tokens are listed: cursors begin anew. */
  forget(): void {
    this.rows.query = null;
    this.rows.key = null;
  }

  destroy(): void {
    this.stop.abort();
  }

  private onFocus(side: Side): void {
    // A click focuses a column too; the pointer has said already which row is meant.
    if (!this.columns[side].element.matches(":focus-visible")) return;
    this.arrive(side, this.rows[side] ?? this.actions.firstRow(side));
  }

  private onKey(side: Side, event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const column = this.columns[side];
    const row = this.rows[side] ?? this.actions.firstRow(side);
    const other = event.key === "ArrowRight" ? "key" : event.key === "ArrowLeft" ? "query" : null;
    const moved = movedRow(event.key, row, column.count(), column.page());
    if (moved !== null) this.arrive(side, moved);
    else if (other !== null) this.cross(other, row);
    else if (event.key === "Enter" || event.key === " ") this.actions.pin(side, row);
    else return;
    event.preventDefault();
  }

  /** To the same row of the other column; where the tokens are others, to the cursor it had. */
  private cross(side: Side, row: number): void {
    const { element, count } = this.columns[side];
    const from = this.rows[side] ?? Math.max(0, Math.min(row, count() - 1));
    element.focus();
    this.arrive(side, from);
  }

  private arrive(side: Side, row: number): void {
    this.rows[side] = row;
    this.actions.arrive(side, row);
  }
}
