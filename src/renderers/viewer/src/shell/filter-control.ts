/** The filters that are used now and then, behind one button, and a chip for each that is at work. */

import type { Treatment } from "../state/selection";
import { activeFilters, PAIRS, type ActiveFilter } from "./active-filters";
import { button, element, refill, setAttributes } from "./dom";
import { choice, type Field } from "./fields";
import { icon } from "./icons";
import { popupFor } from "./popup";
import { relevantControls } from "./relevant";
import { follow, type Shell } from "./shell";

const TREATMENTS: readonly (readonly [Treatment, string, string])[] = [
  ["show", "Show", "As the model computed it"],
  ["discount", "Discount", "Their share is taken out, and the rest of each row scaled to the same sum"],
  ["hide", "Hide", "Not listed"],
];

const LAYERS = [
  ["one", "Selected"],
  ["mean", "Mean of all"],
] as const;

/** In the order of their rows. */
const FILTERS = ["meanLayers", "special", "sink", "pairs"] as const;

export interface FilterControl {
  readonly button: HTMLElement;
  readonly popup: HTMLElement;
  readonly chips: HTMLElement;
}

export function createFilterControl(shell: Shell): FilterControl {
  const { store } = shell;
  const count = element("span", { class: "attn-badge attn-number", hidden: true });
  const opener = element("button", { type: "button", class: "attn-button" }, icon("filter"), "Filters", count);
  const special = choice("Special tokens", TREATMENTS, (value) => store.select({ special: value }));
  const sink = choice("Attention sink", TREATMENTS, (value) => store.select({ sink: value }));
  const pair = choice("Sentence pair", PAIRS, (value) => store.select({ pair: value }));
  const layers = choice("Layers", LAYERS, (value) => store.select({ meanLayers: value === "mean" }));
  const rows = {
    meanLayers: row("Layers", "One layer, or the mean over all layers of its group", layers),
    special: row("Special tokens", "Such as [CLS], [SEP], <s>", special),
    sink: row("Attention sink", "The first token, where heads rest when they have nothing to do", sink),
    pairs: row("Sentence pair", "From which sentence to which", pair),
  };
  const popup = popupFor(opener, "Filters", "dialog");
  popup.element.append(...FILTERS.map((name) => rows[name]));
  shell.onDestroy(popup.close);
  const chips = element("div", { class: "attn-chips", role: "group", "aria-label": "Active filters" });
  follow(shell, (selection) => {
    const relevant = relevantControls(selection, shell.trace, shell.context.layer());
    for (const name of FILTERS) rows[name].hidden = !relevant[name];
    opener.hidden = FILTERS.every((name) => !relevant[name]);
    layers.set(selection.meanLayers ? "mean" : "one");
    special.set(selection.special);
    sink.set(selection.sink);
    pair.set(selection.pair);
    showChips(shell, chips, count, activeFilters(selection, relevant.pairs));
  });
  return { button: opener, popup: popup.element, chips };
}

function row(title: string, explanation: string, field: Field<never>): HTMLElement {
  const words = element("div", {}, element("div", {}, title), element("div", { class: "attn-muted attn-small" }, explanation));
  return element("div", { class: "attn-popup-row" }, words, field.element);
}

function showChips(shell: Shell, chips: HTMLElement, count: HTMLElement, active: readonly ActiveFilter[]): void {
  count.textContent = String(active.length);
  count.hidden = active.length === 0;
  const made = active.map(({ text, without }) => {
    const chip = button(text, { class: "attn-chip", title: "Take this filter away" }, () => shell.store.select(without));
    setAttributes(chip, { "aria-label": `${text}: take this filter away` });
    chip.append(icon("close"));
    return chip;
  });
  refill(chips, ...made);
  chips.hidden = active.length === 0;
}
