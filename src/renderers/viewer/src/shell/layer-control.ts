/** Which layer: its group, a slider with the neighbours, and its name. */

import type { Selection } from "../state/selection";
import { layerName, shortLayerName } from "../views/model-words";
import { element, refill, setAttributes } from "./dom";
import { choice, iconButton, slider } from "./fields";
import { groupOf, groupTitle, plural, sameDepth, stepLayer } from "./layers";
import { relevantControls } from "./relevant";
import { follow, type Shell } from "./shell";

export function createLayerControl(shell: Shell): HTMLElement {
  const { store, trace } = shell;
  const go = (by: number): void => store.select({ layer: stepLayer(trace, store.selection.layer, by) });
  const groups = createGroups(shell);
  const previous = iconButton("previous", "Previous layer ([)", () => go(-1));
  const next = iconButton("next", "Next layer (])", () => go(1));
  const track = slider("Layer", 1, (place) => {
    const layer = groupOf(trace, store.selection.layer).layers[place];
    if (layer !== undefined) store.select({ layer });
  });
  const label = element("span", { class: "attn-label attn-lead", "aria-hidden": "true" }, "Layer");
  const name = element("div", { class: "attn-layer-name" });
  const steps = element("div", { class: "attn-steps" }, previous, track.element, next);
  const control = element("div", { class: "attn-layer", role: "group", "aria-label": "Layer" }, label, groups, steps, name);
  follow(shell, (selection) => {
    const relevant = relevantControls(selection, trace, shell.context.layer());
    const { layers } = groupOf(trace, selection.layer);
    const place = layers.indexOf(selection.layer);
    control.hidden = !relevant.groups && !relevant.layers;
    steps.hidden = !relevant.layers || layers.length < 2;
    name.hidden = !relevant.layers;
    track.setRange(layers.length - 1);
    track.set(place);
    setAttributes(track.element, { "aria-valuetext": spokenName(shell), disabled: selection.meanLayers });
    previous.disabled = place <= 0 || selection.meanLayers;
    next.disabled = place >= layers.length - 1 || selection.meanLayers;
    showName(shell, name, selection);
  });
  return control;
}

function spokenName(shell: Shell): string {
  const layer = shell.context.layer();
  return `${layerName(shell.trace, shell.store.selection.layer)}, ${layer.name}`;
}

/** The end of a qualified name tells layers apart, so a name that is too long loses its beginning. */
function showName(shell: Shell, target: HTMLElement, { meanLayers, layer: place }: Selection): void {
  const layer = shell.context.layer();
  setAttributes(target, { "data-mean": meanLayers });
  if (meanLayers) {
    // Fewer than the group's where layers differ in their heads.
    const averaged = shell.reader.series()[0]?.layers.length ?? 1;
    refill(target, element("strong", {}, `mean of ${plural(averaged, "layer")}`));
    setAttributes(target, { title: null });
    return;
  }
  const path = element("span", { class: "attn-path" }, element("bdi", { dir: "ltr" }, layer.name));
  refill(target, element("strong", { class: "attn-number" }, shortLayerName(shell.trace, place)), path);
  setAttributes(target, { title: layer.name });
}

function createGroups(shell: Shell): HTMLElement {
  const { store, trace } = shell;
  const options = trace.groups.map((group, place) => [String(place), groupTitle(group.name)] as const);
  const field = choice("Group of layers", options, (value) => {
    const group = trace.groups[Number(value)];
    if (group !== undefined) store.select({ layer: sameDepth(trace, store.selection.layer, group) });
  });
  follow(shell, ({ layer }) => {
    field.element.hidden = trace.groups.length < 2;
    field.set(String(trace.groups.indexOf(groupOf(trace, layer))));
  });
  return field.element;
}
