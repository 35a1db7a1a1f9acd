/** What is known of a weight: its value, or that it is not held and is below some bound. */

import type { Tile } from "../source/source";

/** What the weight of a cell is at most: the weight itself where it is held. */
export function mostOf(tile: Pick<Tile, "values" | "most">, place: number): number {
  return (tile.most ?? tile.values)[place] ?? Number.NaN;
}

/** Not held by the source, which is another thing than a weight of 0, or one that is not a number in the model itself. */
export function isLeftOut(value: number, most: number): boolean {
  return Number.isNaN(value) && !Number.isNaN(most);
}
