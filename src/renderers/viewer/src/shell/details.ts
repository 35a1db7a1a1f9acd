/** The panel at the side: the numbers of the token that is pointed at, the heads' figures and the layer's facts. */

import { element, freshId, refill } from "./dom";
import { headsSection, layerSection } from "./details-layer";
import { shownHeads } from "./head-choice";
import { hint, TokenSection } from "./details-token";
import { pointedAt, readPointed } from "./pointed-weights";
import { layerAt } from "./context";
import { shownSeries } from "./shown-series";
import type { Shell } from "./shell";

export interface Details {
  readonly element: HTMLElement;
  /** From now on what is shown follows the selection and the pointer. */
  start(): void;
  /** Shows what is selected and pointed at now, unless the panel is closed. */
  update(): void;
}

export function createDetails(shell: Shell): Details {
  const title = element("h2", { class: "attn-unseen" }, "Details");
  const token = element("div");
  const facts = element("div");
  const panel = element("aside", { class: "attn-details", "aria-label": "Details", id: freshId("details"), tabindex: 0 }, title, token, facts);
  const showFacts = factsInto(shell, facts);
  const section = new TokenSection(shell);
  let wanted = false;
  let reading = false;

  /** While numbers are under way, only the newest wish is kept: a slow source is never flooded by the pointer. */
  async function readWhileWanted(): Promise<void> {
    if (reading) return;
    reading = true;
    while (wanted) {
      wanted = false;
      try {
        await showToken(shell, token, section);
      } catch (error) {
        // The view that shows the same weights says what failed; the panel only must not show other numbers.
        refill(token, element("p", { class: "attn-muted" }, error instanceof Error ? error.message : String(error)));
      }
    }
    reading = false;
  }
  function update(): void {
    if (panel.hidden) return;
    showFacts();
    wanted = true;
    shell.context.drawing(readWhileWanted());
  }
  function start(): void {
    const later = oncePerFrame(shell, update);
    shell.onDestroy(shell.store.onSelection(later));
    shell.onDestroy(shell.store.onFocus(later));
    shell.onTheme(later);
  }
  return { element: panel, start, update };
}

async function showToken(shell: Shell, target: HTMLElement, section: TokenSection): Promise<void> {
  const { selection, focus } = shell.store;
  const pointed = pointedAt(selection, focus);
  if (pointed === null || selection.view === "model") {
    refill(target, hint(shell));
    return;
  }
  const { reader, context } = shell;
  const raw = selection.view === "neuron";
  const weights = await readPointed(shownSeries(selection, reader), reader, context.layer(), selection.item, pointed, raw);
  // The layer may have changed meanwhile, and with it what the positions mean; the next round shows it.
  if (shell.store.selection.layer !== selection.layer) return;
  section.show(weights);
  if (section.element.parentNode !== target) refill(target, section.element);
}

/**
 * Returns what shows the facts of the layer that is selected, or pointed at in the model view. The pointer moves more
 * often than they change, and then they are left as they are.
 */
function factsInto(shell: Shell, target: HTMLElement): () => void {
  let shown: readonly unknown[] = [];
  return () => {
    const { selection, focus } = shell.store;
    const place = focus.layer ?? selection.layer;
    const { item, heads: chosen, shown: large, view, pair, special, sink, meanLayers } = selection;
    const wanted = [place, focus.head, item, chosen, large, view, pair, special, sink, meanLayers, shell.context.colours()];
    if (wanted.every((value, index) => value === shown[index])) return;
    shown = wanted;
    const layer = layerAt(shell.store, place);
    const heads = selection.view === "model" ? layer.heads.map((_, head) => head) : shownHeads(selection);
    const held = target.contains(document.activeElement) ? (document.activeElement?.getAttribute("aria-label") ?? "") : null;
    refill(target, headsSection(shell, layer, heads, focus.head), layerSection(shell.trace, layer));
    // What had the keyboard was taken away with the old figures.
    if (held !== null) [...target.querySelectorAll("button")].find((one) => one.getAttribute("aria-label") === held)?.focus();
  };
}

/** The first change in a frame is answered as soon as whatever made it is done, all others together in the next frame. */
function oncePerFrame(shell: Shell, update: () => void): () => void {
  let asked = false;
  let answered = false;
  function answer(): void {
    asked = false;
    answered = true;
    void nextFrame().then(() => (answered = false));
    update();
  }
  return () => {
    if (asked) return;
    asked = true;
    shell.context.drawing((answered ? nextFrame() : Promise.resolve()).then(answer));
  };
}

function nextFrame(): Promise<unknown> {
  return new Promise((resolve) => requestAnimationFrame(resolve));
}
