/** The keys that work in every view, for the help and for `keyboard.ts`. */

import type { KeyHelp } from "../views/view";

export const SHELL_KEYS: readonly KeyHelp[] = [
  { keys: "1 2 3 4", does: "Head, model, neuron, matrix view" },
  { keys: "[ ]", does: "Previous, next layer" },
  { keys: "a", does: "All heads" },
  { keys: "m", does: "Mean over the selected heads" },
  { keys: "/", does: "Find a token; Enter and Shift+Enter go through the matches" },
  { keys: "Esc", does: "Take the pins away" },
  { keys: "d", does: "Show or hide the details" },
  { keys: "t", does: "Theme: as the system, light, dark" },
  { keys: "e", does: "Export" },
  { keys: "?", does: "This help" },
];

/** Keys as they are printed, one a cap, and what stands between them: "Page Up / Page Down" has two. */
export function keyCaps(keys: string): readonly { readonly key: boolean; readonly text: string }[] {
  const parts = keys.match(/Page (?:Up|Down)|[^\s,]+|,/g) ?? [];
  return parts.map((text) => ({ key: parts.length === 1 || !["/", ",", "or"].includes(text), text }));
}

/** What a key press means, or null; keys with Ctrl, Alt or Cmd belong to the browser. */
export function keyOf(event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey">, altGraph: boolean): string | null {
  // On many keyboards "[" and "]" are written with AltGr, which browsers report as Ctrl and Alt.
  if ((event.ctrlKey || event.metaKey || event.altKey) && !altGraph) return null;
  return event.key.length === 1 ? event.key.toLowerCase() : event.key;
}
