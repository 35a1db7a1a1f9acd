/** What is said near the pointer: the weights of a pair of tokens, or the whole of a token that is cut off. */

import type { HeadElements } from "./head-elements";
import type { Side } from "./head-keys";
import type { Listing } from "./head-listing";
import type { HeadPainter } from "./head-painter";
import { heightsOf } from "./head-ends";
import { lineAt } from "./head-pick";
import type { HeadWeights } from "./head-weights";
import { pairRows, pairTitle, type PairWeight } from "./head-words";
import type { ViewContext } from "./view";

/** A line that falls by more than this lies where a tooltip goes. */
const SLOPING = 24;
/** Roughly a tooltip's height, so that it can stand above the pointer instead of below. */
const TITLE_HEIGHT = 66;
const ROW_HEIGHT = 18.5;

export interface Pair {
  readonly query: number;
  readonly key: number;
}

/** Where the pointer is in the window, as in a pointer event. */
export interface Place {
  readonly clientX: number;
  readonly clientY: number;
}

export class HeadTooltip {
  constructor(
    private readonly context: ViewContext,
    private readonly elements: HeadElements,
    private readonly painter: HeadPainter,
    private readonly weights: HeadWeights,
  ) {}

  /** At a token: the pair with the pinned one, if there is one; else its whole text, if it is cut off. */
  atToken(side: Side, row: number, listing: Listing, place: Place): void {
    const column = side === "query" ? this.elements.queries : this.elements.keys;
    const scene = this.painter.parts?.scene;
    this.painter.stress(this.elements, null);
    if (scene?.kind === "query" && scene.other !== null) {
      this.showPair({ query: scene.row, key: scene.other }, null, listing, place);
      return;
    }
    const whole = column.wholeText(row);
    if (whole === null) this.context.tooltip.hide();
    else this.context.tooltip.show(place.clientX, place.clientY, whole, []);
  }

  /** Between the columns: the pair whose line is there, if there is one; that line then stands out. */
  atLine(x: number, y: number, listing: Listing, place: Place): Pair | null {
    const parts = this.painter.parts;
    if (parts === null) return null;
    const { left, width } = parts.layout.lines;
    const share = (x - left) / width;
    const line = share < 0 || share > 1 ? null : lineAt(parts, width, share, y);
    this.painter.stress(this.elements, line);
    if (line === null) {
      this.context.tooltip.hide();
      return null;
    }
    const pair = { query: parts.lines.query[line]!, key: parts.lines.key[line]! };
    const { from, to } = heightsOf(parts, line);
    this.showPair(pair, parts.lines.series[line]!, listing, place, to > from + SLOPING);
    return pair;
  }

  hide(): void {
    this.painter.stress(this.elements, null);
    this.context.tooltip.hide();
  }

  /** `first` is the series whose line is pointed at. `above`: what goes down to the right is not to be covered. */
  private showPair(pair: Pair, first: number | null, listing: Listing, { clientX, clientY }: Place, above = false): void {
    const query = listing.queries[pair.query] ?? 0;
    const key = listing.keys[pair.key] ?? 0;
    const colours = this.painter.seriesColours();
    const weights = this.weights.series.map(({ label }, place): PairWeight => {
      return { label, colour: colours[place]!, ...this.weightOf(place, query, key) };
    });
    const title = pairTitle(this.elements.queries.token(pair.query), this.elements.keys.token(pair.key));
    const rows = pairRows(this.context, weights, first);
    const lift = above ? TITLE_HEIGHT + ROW_HEIGHT * rows.length : 0;
    this.context.tooltip.show(clientX, clientY - lift, title, rows);
  }

  private weightOf(series: number, query: number, key: number): { weight: number | null; most: number } {
    const row = this.weights.row(series, query);
    const cells = row ?? this.weights.column(series, key);
    if (cells === null) return { weight: null, most: Number.NaN };
    const place = cells.start + ((row === null ? query : key) - cells.from) * cells.step;
    return { weight: cells.values[place] ?? null, most: (cells.most ?? cells.values)[place] ?? Number.NaN };
  }
}
