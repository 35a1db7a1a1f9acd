/** The rows of the head view whose tokens match the search. */

import { matchingPositions } from "../data/search";
import type { Listing } from "./head-listing";
import type { ViewContext } from "./view";

/** By column. */
export interface Matches {
  readonly query: ReadonlySet<number>;
  readonly key: ReadonlySet<number>;
}

export const NO_MATCHES: Matches = { query: new Set(), key: new Set() };

export function matchesIn(context: ViewContext, { queryRow, keyRow }: Listing): Matches {
  const { search, item } = context.store.selection;
  const rows = (positions: readonly number[], row: Int32Array): Set<number> =>
    new Set(positions.map((position) => row[position] ?? -1).filter((place) => place >= 0));
  return {
    query: rows(matchingPositions(context.queryAxis(), item, search), queryRow),
    key: rows(matchingPositions(context.keyAxis(), item, search), keyRow),
  };
}
