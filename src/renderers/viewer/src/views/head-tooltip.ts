/** What is said near the pointer: the weights of a pair of tokens, or the whole of a token that is cut off. */

import type { HeadElements } from "./head-elements";
import type { Side } from "./head-keys";
import type { Listing } from "./head-listing";
import type { HeadPainter } from "./head-painter";
import { lineAt } from "./head-pick";
import type { HeadWeights } from "./head-weights";
import { pairRows, pairTitle } from "./head-words";
import type { ViewContext } from "./view";

export interface Pair {
  readonly query: number;
  readonly key: number;
}

export class HeadTooltip {
  constructor(
    private readonly context: ViewContext,
    private readonly elements: HeadElements,
    private readonly painter: HeadPainter,
    private readonly weights: HeadWeights,
  ) {}

  /** At a token: the pair with the pinned one, if there is one; else its whole text, if it is cut off. */
  atToken(side: Side, row: number, listing: Listing, event: PointerEvent): void {
    const column = side === "query" ? this.elements.queries : this.elements.keys;
    const scene = this.painter.parts?.scene;
    if (scene?.kind === "query" && scene.other !== null) {
      this.showPair({ query: scene.row, key: scene.other }, listing, event);
      return;
    }
    const whole = column.wholeText(row);
    if (whole === null) this.hide();
    else this.context.tooltip.show(event.clientX, event.clientY, whole, []);
  }

  /** Between the columns: the pair whose line is there, if there is one. */
  atLine(x: number, y: number, listing: Listing, event: MouseEvent): Pair | null {
    const parts = this.painter.parts;
    if (parts === null) return null;
    const { left, width } = parts.layout.lines;
    const share = (x - left) / width;
    const series = parts.seriesColours.length;
    const pair = share < 0 || share > 1 ? null : lineAt({ ...parts, series }, share, y);
    if (pair === null) this.hide();
    else this.showPair(pair, listing, event);
    return pair;
  }

  hide(): void {
    this.context.tooltip.hide();
  }

  private showPair(pair: Pair, listing: Listing, event: MouseEvent): void {
    const query = listing.queries[pair.query] ?? 0;
    const key = listing.keys[pair.key] ?? 0;
    const values = this.weights.series.map((_, place) => this.weightOf(place, query, key));
    const labels = this.weights.series.map((series) => series.label);
    const rows = pairRows(this.context, labels, this.painter.seriesColours(), values);
    const title = pairTitle(this.elements.queries.token(pair.query), this.elements.keys.token(pair.key));
    this.context.tooltip.show(event.clientX, event.clientY, title, rows);
  }

  private weightOf(series: number, query: number, key: number): number | null {
    const row = this.weights.row(series, query);
    if (row !== null) return row.values[row.start + (key - row.from) * row.step] ?? null;
    const column = this.weights.column(series, key);
    return column === null ? null : (column.values[column.start + (query - column.from) * column.step] ?? null);
  }
}
