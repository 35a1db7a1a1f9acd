/** What the parts of the page share. */

import type { TraceInfo } from "../source/trace-info";
import type { Selection } from "../state/selection";
import type { Store } from "../state/store";
import type { View, ViewContext } from "../views/view";
import type { WeightsReader } from "../data/reader";
import type { Messages } from "./messages";

export interface Shell {
  readonly root: HTMLElement;
  readonly store: Store;
  readonly trace: TraceInfo;
  readonly reader: WeightsReader;
  readonly context: ViewContext;
  readonly messages: Messages;
  /** The page is ours alone: its address holds the selection, and keys work before anything has the focus. */
  readonly ownPage: boolean;
  readonly views: readonly View[];
  /** The view that is shown. */
  view(): View;
  /** Puts the keyboard into the view, where its keys and the page's letters work. */
  focusView(): void;
  /** Calls `update` when light has become dark or the other way round. */
  onTheme(update: () => void): void;
  /** Things to undo when the viewer is taken down. */
  onDestroy(undo: () => void): void;
}

/** Calls `update` now and whenever the selection changes. */
export function follow(shell: Shell, update: (selection: Selection, before: Selection) => void): void {
  update(shell.store.selection, shell.store.selection);
  shell.onDestroy(shell.store.onSelection(update));
}
