/** Puts the viewer together inside an element: a page of its own, a notebook's output, or one of several widgets. */

import { createReader } from "../data/selection-reader";
import type { TileSource } from "../source/source";
import type { Selection } from "../state/selection";
import { Store } from "../state/store";
import type { View } from "../views/view";
import { VIEWS } from "../views/index";
import { createContext } from "./context";
import { createControls } from "./controls";
import { createDetails } from "./details";
import { openAbout, openHelp } from "./dialogs";
import { element, freshId } from "./dom";
import { Drawings } from "./drawings";
import { createExportMenu } from "./export-menu";
import { createFooter } from "./footer";
import { createHeader } from "./header";
import { listenToKeys } from "./keyboard";
import { followAddress } from "./link";
import { Messages } from "./messages";
import { createPanelToggle } from "./panel-toggle";
import type { Shell } from "./shell";
import { createStage } from "./stage";
import { ThemeSwitch } from "./theme";
import { Tooltip } from "./tooltip";

export interface ViewerOptions {
  /** What is selected first; put right where the trace does not have it. */
  readonly first: Selection;
  readonly onSelection?: (selection: Selection) => void;
  /** The page is ours alone: keep the selection in its address. */
  readonly urlState: boolean;
}

export interface Viewer {
  readonly store: Store;
  /** Resolves when nothing is being drawn. */
  idle(): Promise<void>;
  destroy(): void;
}

/** Fills `host`, which gives the viewer its width and height. */
export function mountViewer(host: HTMLElement, source: TileSource, options: ViewerOptions): Viewer {
  const store = new Store(source.trace, options.first);
  const undo: (() => void)[] = [];
  const drawings = new Drawings();
  const shell = createShell(store, source, drawings, options.urlState, undo);
  // Before it is filled: as long as it is empty, asking for its size costs nothing.
  host.append(shell.root);
  assemble(shell);
  // What has been drawn is in sight when this frame is over.
  drawings.add(new Promise((resolve) => requestAnimationFrame(resolve)));
  if (options.onSelection !== undefined) undo.push(store.onSelection(options.onSelection));
  if (options.urlState) followAddress(shell);
  return {
    store,
    idle: () => drawings.idle(),
    destroy: () => {
      for (const step of undo.reverse()) step();
      shell.root.remove();
    },
  };
}

/** What the parts share; the theme and the passing messages are put right before any view hears of a change. */
function createShell(store: Store, source: TileSource, drawings: Drawings, ownPage: boolean, undo: (() => void)[]): Shell {
  const root = createRoot(source.trace.model, ownPage);
  const themeListeners: (() => void)[] = [];
  const onTheme = (): void => themeListeners.forEach((listener) => listener());
  const theme = new ThemeSwitch(root, onTheme);
  const messages = new Messages(onTheme);
  const tooltip = new Tooltip(root);
  const reader = createReader(source, store);
  const views = VIEWS.map((create) => create());
  theme.apply(store.selection.theme);
  undo.push(
    () => theme.destroy(),
    () => messages.destroy(),
    store.onSelection((selection) => theme.apply(selection.theme)),
  );
  root.append(tooltip.element, messages.live);
  return {
    root,
    store,
    trace: source.trace,
    reader,
    context: createContext({ store, reader, theme, tooltip, messages, drawings }),
    messages,
    ownPage,
    views,
    view: () => viewNamed(views, store.selection.view),
    focusView: () => (root.querySelector<HTMLElement>('.attn-view [tabindex="0"]') ?? root).focus(),
    onTheme: (listener) => themeListeners.push(listener),
    onDestroy: (step) => undo.push(step),
  };
}

function viewNamed(views: readonly View[], name: string): View {
  const view = views.find((candidate) => candidate.name === name) ?? views[0];
  if (view === undefined) throw new Error("the viewer has no views");
  return view;
}

function createRoot(model: string, ownPage: boolean): HTMLElement {
  return element("section", {
    class: "attncore",
    role: ownPage ? "main" : "region",
    "data-page": ownPage,
    "aria-label": `Attention of ${model === "" ? "a model" : model}`,
    tabindex: -1,
    // JupyterLab takes single letters as its own commands, such as "a" for a new cell, unless told not to.
    "data-lm-suppress-shortcuts": "true",
  });
}

/** Builds the parts into the root, which is in the page already and so has a size. */
function assemble(shell: Shell): void {
  const stageId = freshId("stage");
  const stage = createStage(shell, stageId);
  const details = createDetails(shell);
  const menu = createExportMenu(shell);
  const about = (): void => openAbout(shell);
  const help = (): void => openHelp(shell);
  const header = createHeader(shell, stageId, menu.button, { about, help, togglePanel: () => toggle.flip() });
  const toggle = createPanelToggle(shell, details, header.panelButton);
  const controls = createControls(shell);
  const body = element("div", { class: "attn-body" }, stage.element, details.element);
  listenToKeys(shell, { search: controls.focusSearch, help, exportMenu: menu.open, togglePanel: toggle.flip });
  shell.onTheme(stage.redraw);
  details.start();
  toggle.start();
  shell.root.prepend(header.element, controls.element, body, createFooter(shell, about), menu.popup);
  stage.start();
}
