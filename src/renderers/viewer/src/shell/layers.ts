/** Which group of layers (encoder, decoder, cross) is shown, and the way from one layer to the next. */

import { grouped } from "../data/format";
import type { AxisInfo, GroupInfo, LayerInfo, TraceInfo } from "../source/trace-info";

/** The group that holds the layer; all layers when none does. */
export function groupOf(trace: TraceInfo, layer: number): GroupInfo {
  const found = trace.groups.find((group) => group.layers.includes(layer));
  return found ?? { name: "", layers: trace.layers.map((_, place) => place) };
}

/** The layer `by` steps further in the same group; the first or the last at its ends. */
export function stepLayer(trace: TraceInfo, layer: number, by: number): number {
  const { layers } = groupOf(trace, layer);
  const place = Math.min(layers.length - 1, Math.max(0, layers.indexOf(layer) + by));
  return layers[place] ?? layer;
}

/** The layer of `group` at the same depth as `layer` in its own group. */
export function sameDepth(trace: TraceInfo, layer: number, group: GroupInfo): number {
  const depth = groupOf(trace, layer).layers.indexOf(layer);
  return group.layers[Math.min(depth, group.layers.length - 1)] ?? layer;
}

export function groupTitle(name: string): string {
  return name === "" ? "All layers" : name.charAt(0).toUpperCase() + name.slice(1);
}

/** "12 layers x 16 heads", or without the heads where layers differ. */
export function sizeOf(trace: TraceInfo): string {
  const layers = plural(trace.layers.length, "layer");
  const counts = new Set(trace.layers.map((layer) => layer.heads.length));
  const [heads] = counts;
  return counts.size === 1 && heads !== undefined ? `${layers} × ${plural(heads, "head")}` : layers;
}

export function plural(count: number, word: string, words = `${word}s`): string {
  return `${grouped(count)} ${count === 1 ? word : words}`;
}

/** "128 tokens", "196 patches". */
export function lengthOf(axis: AxisInfo): string {
  const [one, several] = unitOf(axis);
  return plural(axis.length, one, several);
}

/** What an axis counts: one of it, and several. */
export function unitOf({ kind }: Pick<AxisInfo, "kind">): readonly [string, string] {
  if (kind === "patch") return ["patch", "patches"];
  const word = kind === "text" ? "token" : kind;
  return [word, `${word}s`];
}

/** What a distance along an axis counts. Patches in reading order are not as far apart as they are in the image. */
export function distanceUnit(axis: Pick<AxisInfo, "kind"> | undefined): string {
  return axis === undefined || axis.kind === "patch" ? "positions" : unitOf(axis)[1];
}

/** A head's own number in the model. */
export function headNumber(layer: LayerInfo, head: number): number {
  return layer.heads[head] ?? head;
}
