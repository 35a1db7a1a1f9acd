/** How each embedded block is to be read: the `blocks` that Python writes beside the trace's description. */

import type { TraceInfo } from "./trace-info";

export type WeightsBlock =
  | { readonly encoding: "float16" | "log8" | "log8-steps" }
  | {
      readonly encoding: "top";
      readonly top: number;
      readonly values: "log8" | "float16";
      readonly index: "uint16" | "uint32";
      /** Weights are below this where a row has fewer than `top`. */
      readonly least: number;
      /** What keys more than so many positions after the query get is 0; null where nothing is known of them. */
      readonly causal: number | null;
    };

export interface OverviewBlock {
  readonly encoding: "float16" | "log8";
  readonly row_step: number;
  readonly column_step: number;
}

export interface VectorsBlock {
  readonly encoding: "float16";
  readonly bias?: readonly number[] | null;
  readonly allowed?: readonly number[] | null;
}

export type Block = WeightsBlock | OverviewBlock | VectorsBlock;

/** The description of a page that holds its data. */
export interface EmbeddedInfo extends TraceInfo {
  readonly blocks: Readonly<Record<string, Block>>;
}

export function hasBlocks(info: TraceInfo): info is EmbeddedInfo {
  return "blocks" in info;
}
