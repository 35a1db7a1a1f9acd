/** Holds the selection and tells everyone who asked when it changes. */

import type { TraceInfo } from "../source/trace-info";
import { NO_FOCUS, type Focus, type Selection } from "./selection";
import { legal } from "./legal";

export type SelectionListener = (selection: Selection, before: Selection) => void;
export type FocusListener = (focus: Focus) => void;

export class Store {
  private current: Selection;
  private pointed: Focus = NO_FOCUS;
  private readonly selectionListeners = new Set<SelectionListener>();
  private readonly focusListeners = new Set<FocusListener>();

  constructor(
    readonly trace: TraceInfo,
    first: Selection,
  ) {
    this.current = legal(first, trace);
  }

  get selection(): Selection {
    return this.current;
  }

  get focus(): Focus {
    return this.pointed;
  }

  /** Changes some fields; values that the trace does not have are put right first. Listeners run at once. */
  select(changes: Partial<Selection>): void {
    const before = this.current;
    // All heads stay all in a layer that has more of them; no heads are put right to all.
    const heads = this.hasAllHeads() && (changes.layer ?? before.layer) !== before.layer ? [] : before.heads;
    const next = legal({ ...before, heads, ...changes }, this.trace);
    const keys = Object.keys(next) as (keyof Selection)[];
    if (keys.every((key) => same(next[key], before[key]))) return;
    this.current = next;
    if (next.layer !== before.layer || next.item !== before.item) this.point(NO_FOCUS);
    for (const listener of [...this.selectionListeners]) {
      // One that another listener has stopped, such as a view that was just taken down, is not called any more.
      if (this.selectionListeners.has(listener)) listener(next, before);
    }
  }

  private hasAllHeads(): boolean {
    const { layer, heads } = this.current;
    return heads.length > 1 && heads.length === this.trace.layers[layer]?.heads.length;
  }

  /** Says where the pointer is; fields that are not given become null. */
  point(focus: Partial<Focus>): void {
    const next = { ...NO_FOCUS, ...focus };
    const keys = Object.keys(next) as (keyof Focus)[];
    if (keys.every((key) => next[key] === this.pointed[key])) return;
    this.pointed = next;
    for (const listener of [...this.focusListeners]) {
      if (this.focusListeners.has(listener)) listener(next);
    }
  }

  /** Returns a function that stops listening. */
  onSelection(listener: SelectionListener): () => void {
    this.selectionListeners.add(listener);
    return () => this.selectionListeners.delete(listener);
  }

  onFocus(listener: FocusListener): () => void {
    this.focusListeners.add(listener);
    return () => this.focusListeners.delete(listener);
  }
}

function same(left: unknown, right: unknown): boolean {
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((value, place) => value === right[place]);
  }
  return left === right;
}
