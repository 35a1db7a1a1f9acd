/**
 * Weights as they are to be shown: averaged over heads or layers, with special tokens and the sink discounted.
 *
 * The views read through this and never from a source, so that the same selection means the same numbers everywhere.
 */

import type { Range, Tile, Vectors } from "../source/source";

/** One line of colour in a view: a head, or the mean over several heads (then `heads` has more than one). */
export interface Series {
  /** Place of the colour in the palette: the head's place in its layer, or 0 for a mean. */
  readonly colour: number;
  /** "head 5", or "mean of 12 heads", "mean of 12 layers, head 5". */
  readonly label: string;
  readonly heads: readonly number[];
  readonly layers: readonly number[];
}

export interface BlockRequest {
  readonly series: Series;
  readonly item: number;
  readonly queries: Range;
  readonly keys: Range;
  readonly maxRows: number;
  readonly maxColumns: number;
  /** With nothing discounted, as the source gives it; the neuron view compares its arithmetic with this. */
  readonly raw?: boolean;
}

export interface WeightsReader {
  /** The series that the current selection shows: one a selected head, or one mean. */
  series(): readonly Series[];
  /** One series for a given head of a given layer, without averaging (thumbnails). */
  headSeries(layer: number, head: number): Series;
  /** A block, averaged and with discounted keys at 0 and the rest of each row scaled to keep the row's sum. */
  block(request: BlockRequest): Promise<Tile>;
  /** Query positions that are listed, in order: without padding, and without what is hidden or filtered out. */
  queries(): readonly number[];
  keys(): readonly number[];
  /** Query and key vectors of one head of the selected layer. */
  vectors(head: number, queries: Range, keys: Range): Promise<Vectors>;
  /** Sentences on what was done to the numbers of the view that is shown; empty when nothing was. */
  notes(): readonly string[];
}
