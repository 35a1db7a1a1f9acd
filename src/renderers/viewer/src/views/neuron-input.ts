/** The pointer and the keyboard on the table of the neuron view: a key's row, and one dimension of all strips. */

import type { Step } from "./neuron-columns";
import type { NeuronData } from "./neuron-data";
import { KEY_ROW, type NeuronTable, type TablePlace } from "./neuron-table";
import { movedRow } from "./neuron-window";
import { tooltipOfDimension, tooltipOfKey } from "./neuron-words";
import type { KeyHelp, ViewContext } from "./view";

export const NEURON_HELP: readonly KeyHelp[] = [
  { keys: "↑ ↓", does: "In the list: choose the query token. In the table: go to a key" },
  { keys: "← →", does: "In the table: go through the dimensions, in all strips at once" },
  { keys: "Home / End, Page Up / Page Down", does: "Go through the tokens faster" },
  { keys: "Enter", does: "In the table: pin the key; again to let go" },
  { keys: "Click", does: "On a query token: explain it. On a key's row: pin the key" },
];

export class NeuronInput {
  /** The pixel of the strips that is marked, null for none. */
  pixel: number | null = null;
  private readonly listening = new AbortController();

  constructor(
    private readonly context: ViewContext,
    private readonly table: NeuronTable,
    private readonly steps: readonly Step[],
    /** Called when another dimension is marked. */
    private readonly onPixel: () => void,
  ) {
    const { signal } = this.listening;
    const { scroller } = table;
    scroller.addEventListener("pointermove", (event) => this.hover(table.placeAt(event), [event.clientX, event.clientY]), { signal });
    scroller.addEventListener("pointerleave", () => this.leave(), { signal });
    scroller.addEventListener("blur", () => this.leave(), { signal });
    scroller.addEventListener("click", (event) => this.pin(table.placeAt(event).row), { signal });
    scroller.addEventListener("keydown", (event) => this.onKey(event), { signal });
  }

  stop(): void {
    this.listening.abort();
    this.context.tooltip.hide();
  }

  private hover(place: TablePlace, client: readonly [number, number]): void {
    const data = this.table.style?.data;
    if (data === undefined) return;
    this.pixel = place.pixel;
    const key = place.row === null ? null : (this.table.keys[place.row] ?? null);
    this.point(data, key);
    const shown = this.tooltipFor(data, key);
    if (shown === null) this.context.tooltip.hide();
    else this.context.tooltip.show(...client, shown.title, shown.rows);
  }

  private point(data: NeuronData, key: number | null): void {
    const { store } = this.context;
    store.point({ query: data.query, key });
    this.onPixel();
  }

  private tooltipFor(data: NeuronData, key: number | null) {
    const word = key === null ? "" : this.table.labelOf(key, "key");
    const dimension = this.pixel === null ? undefined : this.table.style?.dimensions[this.pixel];
    if (dimension !== undefined) return tooltipOfDimension(data, dimension, key, word);
    return key === null ? null : tooltipOfKey(this.context, data, this.steps, key, [this.table.labelOf(data.query, "query"), word]);
  }

  private leave(): void {
    this.pixel = null;
    this.context.store.point({});
    this.context.tooltip.hide();
    this.onPixel();
  }

  private pin(row: number | null): void {
    const key = row === null ? undefined : this.table.keys[row];
    const data = this.table.style?.data;
    if (key === undefined || data === undefined) return;
    const { store, announce } = this.context;
    const again = store.selection.key === key;
    store.select({ query: data.query, key: again ? null : key });
    announce(again ? "Let go" : `Pinned ${this.table.labelOf(key, "key")}`);
  }

  private onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const handled = this.moveRow(event.key) || this.moveDimension(event.key) || this.pinByKey(event.key);
    if (!handled) return;
    event.preventDefault();
    event.stopPropagation();
  }

  private row(): number {
    const { focus, selection } = this.context.store;
    return this.table.keys.indexOf(focus.key ?? selection.key ?? -1);
  }

  private moveRow(key: string): boolean {
    const page = Math.max(1, Math.floor(this.table.scroller.clientHeight / KEY_ROW) - 5);
    const from = this.row();
    // Nothing is marked yet: the first press marks the first row.
    const next = from === -1 && key === "ArrowDown" ? 0 : movedRow(key, Math.max(0, from), this.table.keys.length, page);
    if (next === null) return false;
    this.table.reveal(next);
    this.say(next);
    return true;
  }

  private moveDimension(key: string): boolean {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[key];
    const count = this.table.style?.dimensions.length ?? 0;
    if (by === undefined || count === 0) return false;
    this.pixel = this.pixel === null ? 0 : Math.min(count - 1, Math.max(0, this.pixel + by));
    this.say(Math.max(0, this.row()));
    return true;
  }

  private pinByKey(key: string): boolean {
    if (key !== "Enter" && key !== " ") return false;
    this.pin(this.row());
    return true;
  }

  /** Shows the tooltip at a row and says the same to a screen reader. */
  private say(row: number): void {
    const data = this.table.style?.data;
    const key = this.table.keys[row];
    if (data === undefined || key === undefined) return;
    this.point(data, key);
    const shown = this.tooltipFor(data, key);
    if (shown === null) return;
    this.context.tooltip.show(...this.table.clientOf(row), shown.title, shown.rows);
    this.context.announce([shown.title, ...shown.rows.map((line) => `${line.label} ${line.value}`)].join(", "));
  }
}
