/** Sentences of the matrix view: what is shown, and by what it is sorted. */

import { precisionText } from "../data/precision";
import { labelOf, shortened } from "../data/tokens";
import type { Series } from "../data/reader";
import { layerName } from "./model-words";
import type { ViewContext } from "./view";

export function titleOf(context: ViewContext, series: Series): string {
  if (series.layers.length > 1) return `${series.label.charAt(0).toUpperCase()}${series.label.slice(1)}`;
  return `${layerName(context.trace, context.store.selection.layer)}, ${series.label}`;
}

/** A file is looked at without the page around it: it names the model, too. */
export function exportTitle(context: ViewContext, series: Series): string {
  const title = titleOf(context, series);
  return context.trace.model === "" ? title : `${context.trace.model}: ${title.charAt(0).toLowerCase()}${title.slice(1)}`;
}

/** Above an export: what the page says elsewhere. */
export function exportLines(context: ViewContext, series: Series): string[] {
  const { trace, store } = context;
  const layer = context.layer();
  // A mean over layers has no one name; the title says of how many it is.
  const name = series.layers.length > 1 ? [] : [layer.name];
  const item = layer.items > 1 ? [`sequence ${store.selection.item} of ${layer.items}`] : [];
  return [[[...name, ...item].join(", "), precisionText(trace.precision)].filter((part) => part !== "").join(" · "), ...captionLines(context)];
}

/** Below the title: what the order means, and what was done to the numbers. */
export function captionOf(context: ViewContext): string {
  return captionLines(context).join(" ");
}

function captionLines(context: ViewContext): string[] {
  return [sortCaption(context), ...context.reader.notes()].filter((line) => line !== "");
}

/** What the order of rows and columns means; empty while both are in the order of the text. */
export function sortCaption(context: ViewContext): string {
  const { sort, query, key } = context.store.selection;
  if (sort === "query") {
    if (query === null) return "Click a cell or a row's token to order the keys by their weight from it.";
    return `Keys from left to right by falling weight from query ${query} ${quoted(wordAt(context, "query", query))}.`;
  }
  if (sort === "key") {
    if (key === null) return "Click a cell or a column's token to order the queries by their weight to it.";
    return `Queries from top to bottom by falling weight to key ${key} ${quoted(wordAt(context, "key", key))}.`;
  }
  return "";
}

/** A position's label, whole. */
export function wordAt(context: ViewContext, side: "query" | "key", position: number): string {
  const axis = side === "query" ? context.queryAxis() : context.keyAxis();
  return labelOf(axis, context.store.selection.item, position);
}

function quoted(word: string): string {
  return `“${shortened(word, 40)}”`;
}
