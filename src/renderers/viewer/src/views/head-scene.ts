/** What the head view shows at a moment: all lines, those of one query, or those of one key. */

import type { Focus, Selection } from "../state/selection";
import { rowOf, type Listing } from "./head-listing";

/** Rows, not positions. `other` is the key that is pointed at or pinned beside a query: that pair stands out. */
export type Scene =
  | { readonly kind: "all" }
  | { readonly kind: "query"; readonly row: number; readonly other: number | null }
  | { readonly kind: "key"; readonly row: number; readonly other: null };

/** What is pointed at goes before what is pinned, and a query before a key, as in the details panel. */
export function sceneOf(selection: Selection, focus: Focus, listing: Listing): Scene {
  const query = rowOf(listing.queryRow, focus.query) ?? rowOf(listing.queryRow, selection.query);
  const key = rowOf(listing.keyRow, focus.key) ?? rowOf(listing.keyRow, selection.key);
  if (query !== null) return { kind: "query", row: query, other: key };
  return key === null ? { kind: "all" } : { kind: "key", row: key, other: null };
}
