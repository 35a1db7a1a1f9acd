/** What the head view shows at a moment: all lines, those of one query, or those of one key. */

import type { Focus, Selection } from "../state/selection";
import type { Listing } from "./head-listing";
import { rowOf } from "./head-listing";

/** Rows, not positions. `other` is the row on the opposite side that is pointed at or pinned too. */
export type Scene =
  | { readonly kind: "all" }
  | { readonly kind: "query"; readonly row: number; readonly other: number | null }
  | { readonly kind: "key"; readonly row: number; readonly other: number | null };

/**
 * The token pointed at counts before the pinned one. When one side is pinned and the other pointed at, the lines stay
 * those of the pinned token, and the pair stands out.
 */
export function sceneOf(selection: Selection, focus: Focus, listing: Listing): Scene {
  const pinnedQuery = rowOf(listing.queryRow, selection.query);
  const pinnedKey = rowOf(listing.keyRow, selection.key);
  const atQuery = rowOf(listing.queryRow, focus.query);
  const atKey = rowOf(listing.keyRow, focus.key);
  if (atKey !== null && atQuery === null && pinnedQuery === null) return { kind: "key", row: atKey, other: null };
  if (atQuery !== null && atKey === null && pinnedKey !== null) return { kind: "key", row: pinnedKey, other: atQuery };
  const query = atQuery ?? pinnedQuery;
  const key = atKey ?? pinnedKey;
  if (query !== null) return { kind: "query", row: query, other: key };
  return key === null ? { kind: "all" } : { kind: "key", row: key, other: null };
}
