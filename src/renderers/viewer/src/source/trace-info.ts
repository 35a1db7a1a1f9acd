/** What a page knows about a trace before it asks for any number: the JSON that Python writes (`_page_describe.py`). */

export interface TraceInfo {
  readonly format: 1;
  /** The model's class, such as "BertModel"; may be empty. */
  readonly model: string;
  /** Lines about where the trace comes from: label and value. */
  readonly facts: readonly (readonly [string, string])[];
  readonly axes: Readonly<Record<string, AxisInfo>>;
  readonly layers: readonly LayerInfo[];
  /** Layers that belong together and count the same axes, in order: "encoder", "decoder", "cross", or one unnamed. */
  readonly groups: readonly GroupInfo[];
  readonly coverage: readonly CoverageInfo[];
  readonly precision: PrecisionInfo;
  readonly start: StartInfo;
}

export interface GroupInfo {
  readonly name: string;
  /** Places in `TraceInfo.layers`. */
  readonly layers: readonly number[];
}

/** Arrays are per batch item, then per position. `padding`, `special` are 0 or 1; `segments` 0 for A, 1 for B. */
export interface AxisInfo {
  readonly kind: "text" | "patch" | "frame" | "latent" | "position";
  readonly length: number;
  readonly labels: readonly (readonly string[])[];
  /** As the tokenizer spells them; null when the same as the labels. */
  readonly raw: readonly (readonly string[])[] | null;
  readonly padding: readonly (readonly number[])[] | null;
  readonly special: readonly (readonly number[])[] | null;
  readonly segments: readonly (readonly number[])[] | null;
  /** Rows and columns of image patches; the positions before them are extra tokens. */
  readonly grid: readonly [number, number] | null;
  /** The generation step that wrote each position; 0 is the prompt. */
  readonly steps: readonly number[] | null;
}

export interface LayerInfo {
  /** The layer's number among all layers of the run, and its qualified name. */
  readonly index: number;
  readonly name: string;
  readonly call: number;
  readonly kind: "self" | "cross";
  readonly stack: string | null;
  readonly source: string;
  readonly computed: "observed" | "recomputed";
  readonly queryAxis: string;
  readonly keyAxis: string;
  readonly items: number;
  readonly queries: number;
  readonly keys: number;
  /** The model's own numbers of the heads held. */
  readonly heads: readonly number[];
  readonly notes: readonly string[];
  readonly scoring: ScoringInfo | null;
  /** Present when `TileSource.vectors` can answer for this layer. */
  readonly vectors: { readonly headDim: number; readonly keyHeads: number } | null;
  /** Why there are no vectors: "" when there are, else a sentence for the person. */
  readonly noVectors: string;
  /** Per batch item. */
  readonly statistics: readonly StatisticsInfo[];
  /** Mean share of each head's attention that this source holds, per batch item and head; null when all of it. */
  readonly kept: readonly (readonly number[])[] | null;
}

/**
 * weight = softmax(softcap(scale * q.k) + bias); `bias` says whether the model adds one, `biasHeld` whether the source
 * has it; `sinks` is a learned extra score per head that takes attention and has no token.
 */
export interface ScoringInfo {
  readonly scale: number;
  readonly softcap: number | null;
  readonly causal: boolean;
  readonly window: number | null;
  readonly mask: boolean;
  readonly bias: boolean;
  readonly biasHeld: boolean;
  readonly sinks: readonly number[] | null;
}

/** One entry per head; null where a figure means nothing. Formulas: `attncore.patterns`. */
export interface StatisticsInfo {
  /** Bits. */
  readonly entropy: readonly (number | null)[];
  /** 0 to 1. */
  readonly normalisedEntropy: readonly (number | null)[];
  /** Mean distance in tokens. */
  readonly distance: readonly (number | null)[];
  readonly maxWeight: readonly (number | null)[];
  readonly selfMass: readonly (number | null)[];
  readonly previousMass: readonly (number | null)[];
  readonly nextMass: readonly (number | null)[];
  readonly firstMass: readonly (number | null)[];
  readonly specialMass: readonly (number | null)[];
  readonly separatorMass: readonly (number | null)[];
  /** Strongest pattern: "previous token", "first token (sink)", "broad", "mixed", … and its share. */
  readonly pattern: readonly string[];
  readonly patternShare: readonly (number | null)[];
  /** Per head the weights that 1/4, 1/2, 1, 2, 4 and 8 keys of a query reach on average; see `data/threshold.ts`. */
  readonly levels?: readonly (readonly (number | null)[])[];
  /** 1, or the distance between the query rows that were looked at. */
  readonly rowStep: number;
}

export interface CoverageInfo {
  readonly name: string;
  readonly what: string;
  readonly status: "no-attention" | "rejected" | "opaque" | "uncertain";
  readonly reason: string;
  readonly count: number;
}

/** How exact the numbers are, said on the page. */
export interface PrecisionInfo {
  /** "exact": float32 as captured; "float16"; "log8": 8-bit logarithmic; "top": the largest keys of each query. */
  readonly kind: "exact" | "float16" | "log8" | "top";
  /** For "top": how many keys of each query are held, at most. */
  readonly top: number | null;
  /** A sentence for the person, such as "top 80 keys of each query: 98.7 % of the attention". */
  readonly sentence: string;
  /** Decimals that a weight may be shown with, so that none of them is made up. */
  readonly decimals: number;
  /**
   * Digits after the leading zeros that a weight is good for: 0.0034 may be shown with 2, although `decimals` is 2.
   * Small weights are known better than `decimals` says in every kind but "exact" of float32.
   */
  readonly significant?: number;
  /** Weights below this, and above 0, are known to be small and no more; 0 where every weight is a number. */
  readonly least?: number;
}

/** What the page opens with; each may be null for the viewer's own choice. */
export interface StartInfo {
  readonly view: string | null;
  readonly layer: number | null;
  readonly heads: readonly number[] | null;
  readonly item: number | null;
  readonly query: number | null;
  readonly theme: "light" | "dark" | "auto";
}
