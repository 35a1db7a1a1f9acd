/** The head view's mouse and touch: pointing at tokens and lines, pinning, and the marks along the edges. */

import type { TokenColumn } from "../draw/token-column";
import type { HeadElements } from "./head-elements";
import type { Side } from "./head-keys";
import type { Place } from "./head-tooltip";

export interface PointerActions {
  /** Somebody points at a row; null when at none any more. */
  point(side: Side, row: number | null, event: Place): void;
  pin(side: Side, row: number): void;
  /** Between the columns: where, in pixels from the stage's corner. */
  between(x: number, y: number, event: Place, pressed: boolean): void;
  /** On the marks along an edge. */
  edge(x: number, y: number): boolean;
  leave(): void;
}

export interface PointerWatch {
  stop(): void;
  /** What is under the resting pointer may be another thing now, as after scrolling: says it again. */
  again(): void;
}

export function followPointer(elements: HeadElements, actions: PointerActions): PointerWatch {
  const { stage, queries, keys } = elements;
  const stop = new AbortController();
  const { signal } = stop;
  let last: Place | null = null;
  followColumn(queries, "query", actions, signal);
  followColumn(keys, "key", actions, signal);
  followStage(elements, actions, signal);
  stage.addEventListener("pointermove", ({ clientX, clientY, pointerType }) => (last = pointerType === "mouse" ? { clientX, clientY } : null), { signal });
  stage.addEventListener("pointerleave", () => (last = null), { signal });
  const again = (): void => {
    if (last === null) return;
    const { clientX, clientY } = last;
    const { left, top } = stage.getBoundingClientRect();
    if (isOver(queries.element, clientX)) actions.point("query", queries.rowUnder(clientY), last);
    else if (isOver(keys.element, clientX)) actions.point("key", keys.rowUnder(clientY), last);
    else actions.between(clientX - left, clientY - top, last, false);
  };
  return { stop: () => stop.abort(), again };
}

function isOver(element: HTMLElement, x: number): boolean {
  const { left, right } = element.getBoundingClientRect();
  return x >= left && x < right;
}

function followColumn(column: TokenColumn, side: Side, actions: PointerActions, signal: AbortSignal): void {
  const { element } = column;
  element.addEventListener("pointermove", (event) => actions.point(side, column.rowUnder(event.clientY), event), { signal });
  element.addEventListener("pointerleave", () => actions.leave(), { signal });
  element.addEventListener("click", (event) => {
    const row = column.rowUnder(event.clientY);
    if (row !== null) actions.pin(side, row);
  }, { signal });
}

function followStage({ stage, queries, keys }: HeadElements, actions: PointerActions, signal: AbortSignal): void {
  let onEdge = false;
  const between = (event: MouseEvent): boolean => {
    const { target } = event;
    return !(target instanceof Node) || (!queries.element.contains(target) && !keys.element.contains(target));
  };
  const place = (event: MouseEvent): [number, number] => {
    const { left, top } = stage.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };
  stage.addEventListener("pointerdown", (event) => {
    onEdge = event.button === 0 && between(event) && actions.edge(...place(event));
    if (onEdge) stage.setPointerCapture(event.pointerId);
  }, { signal });
  stage.addEventListener("pointermove", (event) => {
    if (onEdge && event.buttons === 1) actions.edge(...place(event));
    else if (between(event)) actions.between(...place(event), event, false);
  }, { signal });
  stage.addEventListener("click", (event) => {
    if (!onEdge && between(event)) actions.between(...place(event), event, true);
  }, { signal });
  stage.addEventListener("pointerleave", () => actions.leave(), { signal });
}
