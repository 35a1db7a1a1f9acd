/** The pointer over the matrix and its rulers, and the keyboard on it. */

import type { KeyHelp } from "./view";

export interface InputActions {
  /** The pointer is at `x`, `y` of the stage (pixels), which is at `clientX`, `clientY` of the window. */
  hover(x: number, y: number, client: readonly [number, number]): void;
  leave(): void;
  click(x: number, y: number): void;
  /** Moves the cross-hair by cells of the screen; `Infinity` goes to the end. */
  move(rows: number, columns: number): void;
  pin(): void;
  /** By pixels of the picture. */
  pan(x: number, y: number): void;
  zoom(factor: number): void;
  fit(): void;
}

export const MATRIX_HELP: readonly KeyHelp[] = [
  { keys: "← ↑ → ↓", does: "Move the cross-hair by one cell" },
  { keys: "Page Up / Page Down", does: "Move the cross-hair by ten rows" },
  { keys: "Home / End", does: "Go to the first or last key of the row" },
  { keys: "Enter", does: "Pin the query and key under the cross-hair; again to let go" },
  { keys: "+ / −", does: "Zoom in or out (also wheel, pinch, double-click)" },
  { keys: "0", does: "Show the whole matrix" },
  { keys: "Shift+← ↑ → ↓", does: "Move the picture while zoomed in (also drag)" },
  { keys: "Click", does: "Pin the query and key of a cell; on a ruler, only that token" },
];

const PAN = 60;
const PAGE = 10;

/** Returns a function that stops listening. */
export function followInput(stage: HTMLElement, pane: HTMLElement, actions: InputActions): () => void {
  const stop = new AbortController();
  const { signal } = stop;
  const at = (event: MouseEvent): readonly [number, number] => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  stage.addEventListener("pointermove", (event) => actions.hover(...at(event), [event.clientX, event.clientY]), { signal });
  stage.addEventListener("pointerleave", () => actions.leave(), { signal });
  stage.addEventListener("click", (event) => actions.click(...at(event)), { signal });
  pane.addEventListener("blur", () => actions.leave(), { signal });
  pane.addEventListener("keydown", (event) => onKey(event, actions), { signal });
  return () => stop.abort();
}

function onKey(event: KeyboardEvent, actions: InputActions): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const action = actionFor(event, actions);
  if (action === undefined) return;
  event.preventDefault();
  // The page has keys of its own; those of the matrix come first while it has the focus.
  event.stopPropagation();
  action();
}

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

function actionFor(event: KeyboardEvent, actions: InputActions): (() => void) | undefined {
  const arrow = ARROWS[event.key];
  if (arrow !== undefined) {
    const [rows, columns] = arrow;
    return event.shiftKey ? () => actions.pan(-columns * PAN, -rows * PAN) : () => actions.move(rows, columns);
  }
  const others: Readonly<Record<string, () => void>> = {
    PageUp: () => actions.move(-PAGE, 0),
    PageDown: () => actions.move(PAGE, 0),
    Home: () => actions.move(0, Number.NEGATIVE_INFINITY),
    End: () => actions.move(0, Number.POSITIVE_INFINITY),
    Enter: () => actions.pin(),
    " ": () => actions.pin(),
    "+": () => actions.zoom(1.5),
    "=": () => actions.zoom(1.5),
    "-": () => actions.zoom(1 / 1.5),
    "0": () => actions.fit(),
  };
  return others[event.key];
}
