/** Reads the layers before and after the one shown while nothing else is to be done: most people go through them in turn. */

import { groupOf } from "../shell/layers";
import type { ViewContext } from "./view";
import type { Listing } from "./head-listing";

/** Weights of a layer; of larger ones only what is asked for is read. */
const MOST_WEIGHTS = 3_200_000;
/** A source that took longer than this has enough to do with what is asked of it. */
const QUICK_MS = 250;
/** Where the browser does not say when it is idle. */
const LATER_MS = 60;

export class HeadAhead {
  private turn = 0;

  constructor(private readonly context: ViewContext) {}

  /** `took`: how long the shown layer was waited for, in milliseconds. */
  plan(listing: Listing, took: number): void {
    const turn = (this.turn += 1);
    const { selection } = this.context.store;
    const weights = (listing.queryRange.stop - listing.queryRange.start) * (listing.keyRange.stop - listing.keyRange.start) * selection.heads.length;
    // Means and discounts are computed from all weights, and would be in the way of what is asked for next.
    const changed = selection.meanHeads || selection.meanLayers || selection.special === "discount" || selection.sink === "discount";
    if (changed || weights > MOST_WEIGHTS || took > QUICK_MS) return;
    for (const layer of this.neighbours()) {
      for (const head of selection.heads) whenIdle(() => (turn === this.turn ? this.read(layer, head, listing) : undefined));
    }
  }

  stop(): void {
    this.turn += 1;
  }

  /** Layers next to the shown one that have its heads and tokens. */
  private neighbours(): number[] {
    const { trace, store } = this.context;
    const shown = this.context.layer();
    const { layers } = groupOf(trace, store.selection.layer);
    const place = layers.indexOf(store.selection.layer);
    return [layers[place + 1], layers[place - 1]].filter((layer): layer is number => {
      const info = layer === undefined ? undefined : trace.layers[layer];
      return info !== undefined && info.heads.length === shown.heads.length && info.queryAxis === shown.queryAxis && info.keyAxis === shown.keyAxis;
    });
  }

  /** Asks what the head view will ask; the answer stays in the reader's cache. */
  private read(layer: number, head: number, { queryRange: queries, keyRange: keys }: Listing): void {
    const { reader, store } = this.context;
    const series = reader.headSeries(layer, head);
    const size = { maxRows: queries.stop - queries.start, maxColumns: keys.stop - keys.start };
    // What cannot be read now is asked for again, and then said, when somebody wants to see it.
    reader.block({ series, item: store.selection.item, queries, keys, ...size }).catch(() => undefined);
  }
}

function whenIdle(work: () => void): void {
  if (typeof requestIdleCallback === "function") requestIdleCallback(() => work());
  else setTimeout(work, LATER_MS);
}
