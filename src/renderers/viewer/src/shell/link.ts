/** The page's address holds the selection, so that a link opens the same picture. */

import { firstSelection } from "../state/first";
import { fromFragment, toFragment } from "../state/url";
import type { Shell } from "./shell";

/** null where the page has no address of its own: in a notebook's output, or inside somebody else's page. */
export function linkTo(shell: Shell): string | null {
  if (!shell.ownPage || location.protocol === "about:") return null;
  return addressOf(shell);
}

/** Browsers refuse to change the address more than about a hundred times in half a minute. */
const PAUSE_MS = 200;

/** The address follows the selection, and the selection an address that somebody has written or gone back to. */
export function followAddress(shell: Shell): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const onSelection = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => writeAddress(shell), PAUSE_MS);
  };
  const onHash = (): void => {
    // A fragment names only what differs from what the page opens with.
    if (location.href !== addressOf(shell)) shell.store.select({ ...firstSelection(shell.trace), ...fromFragment(location.hash, shell.trace) });
  };
  window.addEventListener("hashchange", onHash);
  shell.onDestroy(() => window.removeEventListener("hashchange", onHash));
  shell.onDestroy(shell.store.onSelection(onSelection));
  shell.onDestroy(() => clearTimeout(timer));
}

function addressOf(shell: Shell): string {
  return `${location.href.split("#")[0] ?? ""}${toFragment(shell.store.selection, shell.trace)}`;
}

function writeAddress(shell: Shell): void {
  try {
    history.replaceState(history.state, "", addressOf(shell));
  } catch {
    // A page in about:srcdoc may not change its address: then it stays.
  }
}
