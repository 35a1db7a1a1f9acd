/** The query tokens at the left of the neuron view: a listbox of which only the rows in sight exist. */

import { shortened } from "../data/tokens";
import { element, freshId, setAttributes } from "../shell/dom";
import { movedRow, revealed, RowKeeper, rowWindow } from "./neuron-window";

export const LIST_ROW = 24;

interface OptionParts {
  readonly element: HTMLElement;
  readonly number: HTMLElement;
  readonly token: HTMLElement;
}

export interface QueryListActions {
  choose(query: number): void;
  /** Null when the pointer has left. */
  point(query: number | null): void;
}

export class QueryList {
  readonly element: HTMLElement;
  private readonly scroller = element("div", { class: "attn-neuron-options", tabindex: 0, role: "listbox", "aria-label": "Query tokens" });
  private readonly holder = element("div", { class: "attn-neuron-holder" });
  private readonly rows: RowKeeper<OptionParts>;
  private readonly id = freshId("query");
  private queries: readonly number[] = [];
  private labelAt: (query: number) => string = String;
  private current: number | null = null;
  private pinned: number | null = null;
  private found: ReadonlySet<number> = new Set();

  constructor(private readonly actions: QueryListActions) {
    this.rows = new RowKeeper(this.holder, LIST_ROW, createOption, (parts, row) => this.fill(parts, row));
    this.scroller.append(this.holder);
    this.element = element("div", { class: "attn-neuron-list" }, element("div", { class: "attn-label", "aria-hidden": "true" }, "Query token"), this.scroller);
    this.scroller.addEventListener("scroll", () => this.draw(false));
    this.scroller.addEventListener("keydown", (event) => this.onKey(event));
    this.scroller.addEventListener("pointermove", (event) => this.actions.point(this.queryAt(event)));
    this.scroller.addEventListener("pointerleave", () => this.actions.point(null));
    this.scroller.addEventListener("click", (event) => {
      const query = this.queryAt(event);
      if (query !== null) this.actions.choose(query);
    });
  }

  /** The tokens to choose from, as positions. */
  setTokens(queries: readonly number[], labelAt: (query: number) => string): void {
    [this.queries, this.labelAt] = [queries, labelAt];
    this.holder.style.height = `${queries.length * LIST_ROW}px`;
    this.draw(true);
  }

  /** Which token is explained at the right, which is pinned, and which the search has found. */
  mark(current: number | null, pinned: number | null, found: ReadonlySet<number>): void {
    [this.current, this.pinned, this.found] = [current, pinned, found];
    this.draw(true);
    const row = current === null ? -1 : this.queries.indexOf(current);
    setAttributes(this.scroller, { "aria-activedescendant": row === -1 ? null : this.idOf(row) });
  }

  reveal(query: number): void {
    const row = this.queries.indexOf(query);
    if (row !== -1) this.scroller.scrollTop = revealed(row, LIST_ROW, this.scroller.scrollTop, this.scroller.clientHeight);
    this.draw(false);
  }

  draw(again: boolean): void {
    this.rows.show(rowWindow(this.queries.length, LIST_ROW, this.scroller.scrollTop, this.scroller.clientHeight), again);
  }

  private fill(parts: OptionParts, row: number): void {
    const query = this.queries[row] ?? 0;
    const label = this.labelAt(query);
    parts.number.textContent = String(query);
    parts.token.textContent = shortened(label, 60);
    setAttributes(parts.element, {
      id: this.idOf(row),
      "aria-selected": String(query === this.current),
      "aria-posinset": row + 1,
      "aria-setsize": this.queries.length,
      "data-pinned": query === this.pinned,
      "data-found": this.found.has(query),
      title: label.length > 12 ? label.slice(0, 500) : null,
    });
  }

  private idOf(row: number): string {
    return `${this.id}-${row}`;
  }

  private queryAt(event: MouseEvent): number | null {
    const y = event.clientY - this.holder.getBoundingClientRect().top;
    return this.queries[Math.floor(y / LIST_ROW)] ?? null;
  }

  private onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const row = this.current === null ? 0 : Math.max(0, this.queries.indexOf(this.current));
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / LIST_ROW) - 1);
    const next = movedRow(event.key, row, this.queries.length, page);
    const query = next === null ? undefined : this.queries[next];
    if (query === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.actions.choose(query);
    this.reveal(query);
  }
}

function createOption(): OptionParts {
  const number = element("span", { class: "attn-number attn-muted" });
  const token = element("bdi", { class: "attn-token" });
  const option = element("div", { class: "attn-neuron-option", role: "option" }, number, token);
  return { element: option, number, token };
}
