/** Descriptions of small traces, for tests. */

import type { AxisInfo, LayerInfo, TraceInfo } from "../../src/source/trace-info";

export function axisInfo(length: number, changes: Partial<AxisInfo> = {}): AxisInfo {
  const labels = [Array.from({ length }, (_, position) => `t${position}`)];
  const nothing = { raw: null, padding: null, special: null, segments: null, grid: null, steps: null };
  return { kind: "text", length, labels, ...nothing, ...changes };
}

export function layerInfo(queries: number, keys: number, changes: Partial<LayerInfo> = {}): LayerInfo {
  return {
    index: 0, name: "layer.0", call: 0, kind: "self", stack: null, source: "sdpa", computed: "recomputed",
    queryAxis: "tokens", keyAxis: "tokens", items: 1, queries, keys, heads: [0, 1], notes: [], scoring: null,
    vectors: null, noVectors: "no vectors here", statistics: [], kept: null, ...changes,
  };
}

export function traceInfo(axis: AxisInfo, layers: readonly LayerInfo[]): TraceInfo {
  return {
    format: 1, model: "Model", facts: [], axes: { tokens: axis }, layers,
    groups: [{ name: "", layers: layers.map((_, place) => place) }], coverage: [],
    precision: { kind: "exact", top: null, sentence: "exact", decimals: 4 },
    start: { view: null, layer: null, heads: null, item: null, query: null, theme: "auto" },
  };
}
