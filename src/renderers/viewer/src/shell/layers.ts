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
  if (axis.kind === "text") return plural(axis.length, "token");
  if (axis.kind === "patch") return plural(axis.length, "patch", "patches");
  return plural(axis.length, axis.kind);
}

/** A head's own number in the model. */
export function headNumber(layer: LayerInfo, head: number): number {
  return layer.heads[head] ?? head;
}
