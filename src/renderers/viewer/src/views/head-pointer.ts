/** The head view's mouse and touch: pointing at tokens and lines, pinning, and the marks along the edges. */

import type { TokenColumn } from "../draw/token-column";
import type { HeadElements } from "./head-elements";
import type { Side } from "./head-keys";

export interface PointerActions {
  /** Somebody points at a row; null when at none any more. */
  point(side: Side, row: number | null, event: PointerEvent): void;
  pin(side: Side, row: number): void;
  /** Between the columns: where, in pixels from the stage's corner. */
  between(x: number, y: number, event: MouseEvent, pressed: boolean): void;
  /** On the marks along an edge. */
  edge(x: number, y: number): boolean;
  leave(): void;
}

/** Returns a function that stops listening. */
export function followPointer(elements: HeadElements, actions: PointerActions): () => void {
  const stop = new AbortController();
  const { signal } = stop;
  followColumn(elements.queries, "query", actions, signal);
  followColumn(elements.keys, "key", actions, signal);
  followStage(elements, actions, signal);
  return () => stop.abort();
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
