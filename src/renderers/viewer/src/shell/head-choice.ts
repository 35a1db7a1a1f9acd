/** Which heads a view shows, and what a click on a head's toggle selects. */

import type { Selection } from "../state/selection";

/** The neuron view takes one head apart: the first that is selected. */
export function shownHeads({ view, heads }: Pick<Selection, "view" | "heads">): readonly number[] {
  return view === "neuron" ? heads.slice(0, 1) : heads;
}

/** `add` is a click with Shift or Ctrl: it adds the head or takes it away, and never leaves none. */
export function chooseHead(selected: readonly number[], head: number, add: boolean): readonly number[] {
  if (!add) return [head];
  if (!selected.includes(head)) return [...selected, head];
  const others = selected.filter((other) => other !== head);
  return others.length === 0 ? selected : others;
}

/** The toggle that an arrow key goes to from the toggle at `place`; null for other keys. */
export function nextToggle(key: string, place: number, count: number): number | null {
  if (key === "ArrowRight" || key === "ArrowDown") return (place + 1) % count;
  if (key === "ArrowLeft" || key === "ArrowUp") return (place + count - 1) % count;
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  return null;
}
