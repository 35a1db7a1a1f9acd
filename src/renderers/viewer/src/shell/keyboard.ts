/** Keys of the whole page. A view that has used a key says so with preventDefault, and it is left alone here. */

import { selectAllHeads } from "./head-control";
import { changeTheme } from "./header";
import { keyOf } from "./keys";
import { stepLayer } from "./layers";
import { relevantControls } from "./relevant";
import type { Shell } from "./shell";

export interface KeyActions {
  search(): void;
  help(): void;
  exportMenu(): void;
  togglePanel(): void;
}

export function listenToKeys(shell: Shell, actions: KeyActions): void {
  const commands = createCommands(shell, actions);
  const onKey = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || isTyping(event) || shell.root.querySelector("dialog[open]") !== null) return;
    const command = commands.get(keyOf(event, event.getModifierState("AltGraph")) ?? "");
    if (command === undefined) return;
    event.preventDefault();
    command();
  };
  shell.root.addEventListener("keydown", onKey);
  if (shell.ownPage) listenFromBody(shell, onKey);
}

/** On our own page keys work before anything has been clicked; in somebody else's only with the focus inside. */
function listenFromBody(shell: Shell, onKey: (event: KeyboardEvent) => void): void {
  const fromBody = (event: KeyboardEvent): void => {
    if (event.target === document.body || event.target === document.documentElement) onKey(event);
  };
  document.addEventListener("keydown", fromBody);
  shell.onDestroy(() => document.removeEventListener("keydown", fromBody));
}

function createCommands(shell: Shell, actions: KeyActions): ReadonlyMap<string, () => void> {
  const { store, trace } = shell;
  const goToLayer = (by: number): void => store.select({ layer: stepLayer(trace, store.selection.layer, by) });
  const relevant = (): ReturnType<typeof relevantControls> => relevantControls(store.selection, trace, shell.context.layer());
  const views = shell.views.map((view, place): [string, () => void] => [String(place + 1), () => store.select({ view: view.name })]);
  return new Map<string, () => void>([
    ...views,
    ["[", () => relevant().layers && goToLayer(-1)],
    ["]", () => relevant().layers && goToLayer(1)],
    ["a", () => selectAllHeads(shell)],
    ["m", () => relevant().meanHeads && store.select({ meanHeads: !store.selection.meanHeads })],
    ["/", actions.search],
    ["?", actions.help],
    ["e", actions.exportMenu],
    ["d", actions.togglePanel],
    ["t", () => changeTheme(shell)],
    ["Escape", () => store.select({ query: null, key: null })],
  ]);
}

/** Letters that are being written somewhere are not commands; sliders and radio buttons take no letters. */
function isTyping(event: KeyboardEvent): boolean {
  const target = event.target;
  if (target instanceof HTMLInputElement) return !["range", "radio", "checkbox"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement || (target instanceof HTMLElement && target.isContentEditable);
}
