/** The two rows of controls above the view: where to look, and which heads. */

import { createAbout } from "./about-view";
import { element } from "./dom";
import { choice, slider, toggle } from "./fields";
import { createFilterControl } from "./filter-control";
import { createHeadControl } from "./head-control";
import { createLayerControl } from "./layer-control";
import { placeOfThreshold, thresholdAt } from "./numbers";
import { relevantControls } from "./relevant";
import { createSearchControl } from "./search-control";
import { follow, type Shell } from "./shell";

export interface Controls {
  readonly element: HTMLElement;
  focusSearch(): void;
}

/** How much of a batch item's text its choice shows. */
const PREVIEW = 32;

export function createControls(shell: Shell): Controls {
  const filters = createFilterControl(shell);
  const search = createSearchControl(shell);
  const where = element("div", { class: "attn-bar-part attn-where" }, createLayerControl(shell));
  const how = element(
    "div",
    { class: "attn-bar-part attn-how" },
    createItemControl(shell),
    createThresholdControl(shell),
    createScaleControl(shell),
    search.element,
  );
  const above = element("div", { class: "attn-bar-row" }, where, how);
  const heads = element("div", { class: "attn-bar-row attn-bar-heads" }, createHeadControl(shell), createAbout(shell), filters.chips, filters.button);
  const bars = element("div", { class: "attn-controls", role: "group", "aria-label": "Controls" }, above, heads, filters.popup);
  return { element: bars, focusSearch: search.focus };
}

function createItemControl(shell: Shell): HTMLElement {
  const select = element("select", { class: "attn-select", "aria-label": "Batch item", title: "Batch item" });
  select.addEventListener("change", () => shell.store.select({ item: select.selectedIndex }));
  let shownFor = "";
  follow(shell, ({ item }) => {
    const layer = shell.context.layer();
    select.hidden = layer.items < 2;
    if (shownFor !== layer.queryAxis) {
      shownFor = layer.queryAxis;
      const items = Array.from({ length: layer.items }, (_, place) => element("option", {}, preview(shell, place)));
      select.replaceChildren(...items);
    }
    select.selectedIndex = item;
  });
  return select;
}

function preview(shell: Shell, item: number): string {
  const labels = shell.context.queryAxis().labels[item] ?? [];
  const text = labels.slice(0, PREVIEW).join(" ");
  return `Item ${item}: ${text.length > PREVIEW ? `${text.slice(0, PREVIEW)}…` : text}`;
}

function createThresholdControl(shell: Shell): HTMLElement {
  const track = slider("Threshold: weights below it are not drawn", 100, (place) => shell.store.select({ threshold: thresholdAt(place) }));
  const number = element("output", { class: "attn-number attn-threshold-number" });
  const label = element("span", { class: "attn-label", "aria-hidden": "true" }, "Threshold");
  const automatic = toggle("Auto", { title: "A threshold that suits the selected heads" }, (on) => {
    shell.store.select({ threshold: on ? null : shell.context.threshold.get() });
  });
  const control = element("div", { class: "attn-field", title: "Weights below this are not drawn" }, label, track.element, number, automatic.element);
  const show = (): void => {
    const { selection } = shell.store;
    control.hidden = !relevantControls(selection, shell.trace, shell.context.layer()).threshold;
    const threshold = shell.context.threshold.get();
    track.set(placeOfThreshold(threshold));
    track.element.setAttribute("aria-valuetext", `${threshold}${selection.threshold === null ? ", automatic" : ""}`);
    number.textContent = String(Number(threshold.toPrecision(3)));
    automatic.set(selection.threshold === null);
  };
  follow(shell, show);
  shell.context.threshold.onMeasured(show);
  return control;
}

function createScaleControl(shell: Shell): HTMLElement {
  const options = [
    ["linear", "Linear", "Colours follow the weight"],
    ["log", "Log", "Colours follow the weight's logarithm, so that small weights show"],
  ] as const;
  const field = choice("Colour scale", options, (scale) => shell.store.select({ scale }));
  follow(shell, (selection) => {
    field.element.hidden = !relevantControls(selection, shell.trace, shell.context.layer()).scale;
    field.set(selection.scale);
  });
  return field.element;
}
