/** The largest single weights of a head: which token attends to which. */

import { labelOf, shortened } from "../data/tokens";
import { element } from "../shell/dom";
import type { MatrixTile } from "./matrix-tiles";
import type { ViewContext } from "./view";

export interface Pair {
  readonly row: number;
  readonly column: number;
  readonly weight: number;
}

const MOST_CHARACTERS = 14;

/** The `count` largest weights, the largest first; none where cells stand for several weights each. */
export function largestPairs({ values, columns, rowStep, columnStep }: Pick<MatrixTile, "values" | "columns" | "rowStep" | "columnStep">, count: number): Pair[] {
  if (rowStep > 1 || columnStep > 1) return [];
  const places: number[] = [];
  values.forEach((weight, place) => {
    const last = places.length < count ? 0 : values[places[count - 1]!]!;
    if (!(weight > last)) return;
    const before = places.findIndex((other) => values[other]! < weight);
    places.splice(before === -1 ? places.length : before, 0, place);
    if (places.length > count) places.pop();
  });
  return places.map((place) => ({ row: Math.floor(place / columns), column: place % columns, weight: values[place]! }));
}

/** A list of them in words and numbers. */
export function pairsList(context: ViewContext, pairs: readonly Pair[]): HTMLElement {
  const { reader, store, format } = context;
  const [queries, keys] = [reader.queries(), reader.keys()];
  const token = (side: "query" | "key", row: number): HTMLElement => {
    const axis = side === "query" ? context.queryAxis() : context.keyAxis();
    const position = (side === "query" ? queries : keys)[row] ?? 0;
    const label = shortened(labelOf(axis, store.selection.item, position), MOST_CHARACTERS);
    return element("span", {}, element("bdi", {}, label), element("span", { class: "attn-muted attn-number" }, ` ${position}`));
  };
  const list = element("div", { class: "attn-model-pairs" }, element("div", { class: "attn-model-pairs-title attn-muted" }, pairs.length === 0 ? "" : "Largest weights"));
  for (const { row, column, weight } of pairs) {
    const line = element("div", { class: "attn-model-pair" }, token("query", row), element("span", { class: "attn-muted" }, "→"), token("key", column));
    line.append(element("span", { class: "attn-number" }, format(weight)));
    list.append(line);
  }
  return list;
}
