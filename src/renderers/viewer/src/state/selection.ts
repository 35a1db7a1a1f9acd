/** What is being looked at: one object, shared by all views, kept in the URL's fragment and synced with a notebook. */

export type ViewName = "head" | "model" | "neuron" | "matrix";
export const VIEW_NAMES: readonly ViewName[] = ["head", "model", "neuron", "matrix"];

export type Treatment = "show" | "discount" | "hide";
export type PairFilter = "all" | "AA" | "AB" | "BA" | "BB";
export type WeightScale = "linear" | "log";
export type MatrixSort = "position" | "query" | "key";
export type HeadFigure = "number" | "entropy" | "distance" | "maxWeight" | "pattern";
export type ThumbnailScale = "root" | "linear" | "log";
/** First row, last row, first column, last column, in places of the order shown; the last are not in it. */
export type MatrixWindow = readonly [number, number, number, number];

/** Positions, layers, heads and items are indices from 0 into `TraceInfo`; never a model's own numbers. */
export interface Selection {
  readonly view: ViewName;
  readonly layer: number;
  /** At least one; in order. */
  readonly heads: readonly number[];
  readonly item: number;
  /** The pinned query and key token; null when none is. */
  readonly query: number | null;
  readonly key: number | null;
  /** The mean over the selected heads, drawn as one head. */
  readonly meanHeads: boolean;
  /** The mean over all layers of the layer's group. */
  readonly meanLayers: boolean;
  /** Special tokens ([CLS], <s>, …): shown, taken out of the sums (the rest is scaled to the same sum), or not listed. */
  readonly special: Treatment;
  /** The first token that is not padding, where attention sinks to. */
  readonly sink: Treatment;
  readonly pair: PairFilter;
  /** Lines and marks below this weight are not drawn; 0 to 1, null for what `data/threshold.ts` proposes. */
  readonly threshold: number | null;
  readonly scale: WeightScale;
  /** The matrix's order: by position, or its keys sorted by the pinned query, or its queries by the pinned key. */
  readonly sort: MatrixSort;
  /** The matrix: which of the selected heads is shown large, null for the first; and what of it is in sight, null for all. */
  readonly shown: number | null;
  readonly window: MatrixWindow | null;
  /** The model view: by which figure heads are ordered, and the pattern that a head must have to be shown ("" for all). */
  readonly order: HeadFigure;
  readonly pattern: string;
  /** The largest figure first. */
  readonly descending: boolean;
  /** The heads of all layers in one list, instead of a row a layer. */
  readonly ranked: boolean;
  /** Heads without the pattern are left out, instead of dimmed. */
  readonly only: boolean;
  readonly modelScale: ThumbnailScale;
  readonly theme: "auto" | "light" | "dark";
  readonly search: string;
}

/** Where the pointer or the keyboard's cursor is: never kept, never in the URL. */
export interface Focus {
  readonly query: number | null;
  readonly key: number | null;
  /** A layer and head pointed at in the model view. */
  readonly layer: number | null;
  readonly head: number | null;
}

export const NO_FOCUS: Focus = { query: null, key: null, layer: null, head: null };
