/**
 * One column of tokens as a listbox of which only the rows in the window exist.
 *
 * It owns its elements and says which row is meant by an event; what a row means is the view's business.
 */

import { element, freshId } from "../shell/dom";
import type { Measure } from "./rulers";
import { rowAt, visibleRows, type ColumnSize, type VisibleRows } from "./token-column-rows";

export interface ColumnToken {
  readonly position: number;
  /** What is written: a token of thousands of characters is cut before the browser has to lay it out. */
  readonly text: string;
  readonly whole: string;
  readonly special: boolean;
  /** "A" or "B" for the first token of a run of one of two sentences; "" for all others. */
  readonly part: string;
}

/** What is marked in a column; rows, not positions. */
export interface ColumnMarks {
  readonly pinned: number | null;
  readonly cursor: number | null;
  readonly matches: ReadonlySet<number>;
  /** The number written beside a row; "" for none. */
  readonly figure: (row: number) => string;
}

interface RowParts {
  readonly row: HTMLElement;
  readonly token: HTMLElement;
  readonly figure: Text;
  /** How it is marked now. */
  mark: number;
}

const PINNED = 1;
const CURSOR = 2;
const MATCH = 4;

export class TokenColumn {
  readonly element: HTMLElement;
  size: ColumnSize = { count: 0, rowHeight: 20, height: 0 };
  offset = 0;
  visible: VisibleRows = { first: 0, last: 0 };
  private tokens: readonly ColumnToken[] = [];
  private readonly id: string;
  private readonly rows = new Map<number, RowParts>();
  private readonly spare: RowParts[] = [];
  private end: number | null = null;
  private active: string | null = null;
  private measure: Measure | null = null;
  private room = 0;

  constructor(side: "query" | "key") {
    this.id = freshId(side);
    this.element = element("div", {
      class: `attn-column attn-column-${side}`,
      role: "listbox",
      tabindex: 0,
    });
  }

  get count(): number {
    return this.tokens.length;
  }

  token(row: number): ColumnToken | undefined {
    return this.tokens[row];
  }

  /** Returns whether these are other tokens than before. */
  setTokens(tokens: readonly ColumnToken[], name: string): boolean {
    this.element.setAttribute("aria-label", name);
    if (sameTokens(tokens, this.tokens)) return false;
    this.tokens = tokens;
    for (const row of [...this.rows.keys()]) this.release(row);
    return true;
  }

  /** Shows the rows that are in the window at this size and offset. */
  show(size: ColumnSize, offset: number): void {
    const resized = size.rowHeight !== this.size.rowHeight;
    this.size = size;
    this.offset = offset;
    this.visible = visibleRows(size, offset);
    const { first, last } = this.visible;
    for (const row of [...this.rows.keys()]) {
      if (row < first || row >= last || resized) this.release(row);
    }
    for (let row = first; row < last; row++) {
      if (!this.rows.has(row)) this.fill(row);
    }
    for (const [row, parts] of this.rows) {
      parts.row.style.transform = `translateY(${row * size.rowHeight - offset}px)`;
    }
  }

  /** Changes only what differs from before: this runs whenever the pointer moves. */
  mark(marks: ColumnMarks): void {
    for (const [row, parts] of this.rows) {
      const mark = (marks.pinned === row ? PINNED : 0) | (marks.cursor === row ? CURSOR : 0) | (marks.matches.has(row) ? MATCH : 0);
      if (mark !== parts.mark) paintMark(parts, mark);
      writeFigure(parts, marks.figure(row));
    }
    const active = marks.cursor !== null && this.rows.has(marks.cursor) ? `${this.id}-${marks.cursor}` : null;
    if (active === this.active) return;
    this.active = active;
    if (active === null) this.element.removeAttribute("aria-activedescendant");
    else this.element.setAttribute("aria-activedescendant", active);
  }

  /** The token at which the line ends that is pointed at; null for none. */
  markEnd(row: number | null): void {
    if (row === this.end) return;
    if (this.end !== null) this.rows.get(this.end)?.row.classList.remove("attn-end");
    if (row !== null) this.rows.get(row)?.row.classList.add("attn-end");
    this.end = row;
  }

  isPinned(row: number): boolean {
    return ((this.rows.get(row)?.mark ?? 0) & PINNED) !== 0;
  }

  /** The number that is written beside a row in the window. */
  figure(row: number): string {
    return this.rows.get(row)?.figure.data ?? "";
  }

  /** The pixels that a token may take: what is wider is cut off. Asking the browser instead would have it lay out the page. */
  setRoom(room: number, measure: Measure): void {
    this.room = room;
    this.measure = measure;
  }

  /** The row under a pointer; null beside the rows. */
  rowUnder(clientY: number): number | null {
    return rowAt(this.size, this.offset, clientY - this.element.getBoundingClientRect().top);
  }

  /** The whole text of a row that is cut off, which from now on is its title too; null for a row that is not. */
  wholeText(row: number): string | null {
    const parts = this.rows.get(row);
    const token = this.tokens[row];
    if (parts === undefined || token === undefined) return null;
    if (token.text === token.whole && (this.measure === null || this.measure(token.text) <= this.room)) return null;
    parts.row.title = token.whole;
    return token.whole;
  }

  private fill(row: number): void {
    const token = this.tokens[row];
    if (token === undefined) return;
    const parts = this.spare.pop() ?? newRow();
    parts.row.id = `${this.id}-${row}`;
    parts.row.removeAttribute("title");
    parts.row.setAttribute("aria-posinset", String(row + 1));
    parts.row.setAttribute("aria-setsize", String(this.tokens.length));
    parts.row.classList.remove("attn-end");
    parts.row.classList.toggle("attn-special", token.special);
    parts.row.classList.toggle("attn-part", token.part !== "");
    parts.token.dataset["part"] = token.part;
    parts.row.style.height = `${this.size.rowHeight}px`;
    parts.row.style.lineHeight = `${this.size.rowHeight}px`;
    parts.token.textContent = token.text;
    writeFigure(parts, "");
    this.rows.set(row, parts);
    this.element.append(parts.row);
  }

  private release(row: number): void {
    const parts = this.rows.get(row);
    if (parts === undefined) return;
    this.rows.delete(row);
    parts.row.remove();
    this.spare.push(parts);
  }
}

function sameTokens(left: readonly ColumnToken[], right: readonly ColumnToken[]): boolean {
  const same = (token: ColumnToken, row: number): boolean => {
    const other = right[row];
    return token.position === other?.position && token.whole === other.whole && token.special === other.special && token.part === other.part;
  };
  return left.length === right.length && left.every(same);
}

function newRow(): RowParts {
  // bdi: a token that reads from right to left must not turn its neighbours around.
  const token = element("bdi", { class: "attn-column-token" });
  const figure = document.createTextNode("");
  const number = element("span", { class: "attn-column-figure attn-number" });
  number.append(figure);
  const row = element("div", { class: "attn-column-row", role: "option", "aria-selected": "false" }, token, number);
  return { row, token, figure, mark: 0 };
}

/** Behind a token with a number there may be colour, on which muted text cannot be read. */
function writeFigure({ row, figure }: RowParts, text: string): void {
  if (figure.data === text) return;
  if (figure.data === "" || text === "") row.classList.toggle("attn-figured", text !== "");
  figure.data = text;
}

function paintMark(parts: RowParts, mark: number): void {
  const { row } = parts;
  parts.mark = mark;
  row.setAttribute("aria-selected", String((mark & PINNED) !== 0));
  row.classList.toggle("attn-pinned", (mark & PINNED) !== 0);
  row.classList.toggle("attn-cursor", (mark & CURSOR) !== 0);
  row.classList.toggle("attn-match", (mark & MATCH) !== 0);
}
