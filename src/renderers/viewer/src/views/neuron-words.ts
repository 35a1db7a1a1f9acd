/** Sentences and tooltips of the neuron view. */

import { shortened } from "../data/tokens";
import { isolated } from "../draw/rulers";
import type { LayerInfo, TraceInfo } from "../source/trace-info";
import { keyHeadOf } from "./neuron-arithmetic";
import { signed, type BiasUse, type Step } from "./neuron-columns";
import { isMasked, keyVector, type NeuronData } from "./neuron-data";
import type { TooltipRow, ViewContext } from "./view";

/** What a reader must know of this layer's arithmetic, besides the formula: what it has, and nothing that it has not. */
export function arithmeticNotes(layer: LayerInfo, head: number, bias: BiasUse): string[] {
  const notes: string[] = [];
  const { scoring, vectors } = layer;
  if (scoring?.scale === 1) notes.push("This layer does not scale q · k.");
  if (bias === "zero") notes.push("This layer adds a bias to the scores, which is 0 here.");
  if (scoring?.causal) notes.push("Later keys are masked (causal).");
  if (scoring?.sinks) notes.push("The sink is a learned score that takes a share of the attention and belongs to no token.");
  if (scoring !== null && scoring.window !== null) notes.push(`Keys more than ${scoring.window - 1} positions away are masked (sliding window).`);
  if (vectors !== null && vectors.keyHeads < layer.heads.length) {
    const shared = keyHeadOf(head, layer.heads.length, vectors.keyHeads);
    const served = layer.heads.filter((_, place) => keyHeadOf(place, layer.heads.length, vectors.keyHeads) === shared);
    notes.push(`Heads share keys: key head ${shared} of ${vectors.keyHeads} serves heads ${served.join(", ")}.`);
  }
  return notes;
}

/** Why the layer has no vectors, for the person. */
export function whyNoVectors(layer: LayerInfo): string {
  if (layer.noVectors !== "") return layer.noVectors;
  return `Layer ${layer.index} (${layer.name}) comes without its query and key vectors, so its weights cannot be taken apart here.`;
}

export const NOTHING_LISTED =
  "No token is left to explain: all are padding, hidden or filtered out. Choose another batch item, or show all tokens again in another view.";

/** Places of the layers that can be shown. */
export function layersWithVectors(trace: TraceInfo): number[] {
  return trace.layers.flatMap((layer, place) => (layer.vectors === null ? [] : [place]));
}

/** The last query that is not a special token, or else the last. */
export function defaultQuery(queries: readonly number[], special: readonly number[] | undefined): number | null {
  return queries.findLast((query) => !special?.[query]) ?? queries.at(-1) ?? null;
}

export function tooltipOfKey(context: ViewContext, data: NeuronData, steps: readonly Step[], key: number, words: readonly [string, string]): { title: string; rows: TooltipRow[] } {
  const masked = isMasked(data, key);
  const colour = context.colours().head(data.head, context.layer().heads.length);
  const weight = data.row.weights[key] ?? 0;
  return {
    title: words.map((word) => isolated(shortened(word, 28))).join(" → "),
    rows: [
      ...steps.map((step) => ({ label: step.title, value: signed(step.values(data)[key] ?? 0, 4) })),
      masked ? { label: "weight", value: "masked" } : { label: "weight", value: context.format(weight), share: weight, colour },
    ],
  };
}

/** One dimension of the query, and of the key where the pointer is on one. */
export function tooltipOfDimension(data: NeuronData, dimension: number, key: number | null, word: string): { title: string; rows: TooltipRow[] } {
  const query = data.queryVector[dimension] ?? 0;
  const rows: TooltipRow[] = [{ label: "q", value: signed(query) }];
  if (key !== null) {
    const value = keyVector(data, key)[dimension] ?? 0;
    rows.push({ label: `k of ${isolated(shortened(word, 28))}`, value: signed(value) }, { label: "q × k", value: signed(query * value) });
    rows.push({ label: "q · k, all dimensions", value: signed(data.row.dots[key] ?? 0) });
  }
  return { title: `Dimension ${dimension} of ${data.headDim}`, rows };
}
