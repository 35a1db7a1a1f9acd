/** Turns the selection, the pointer and the weights at hand into one picture of the head view. */

import { LineBuffer, lineStyle, strongest, type StrengthScale } from "../draw/lines";
import type { TokenColumn } from "../draw/token-column";
import type { EdgeMark } from "./head-edges";
import type { HeadElements } from "./head-elements";
import { figuresOf, type Figures } from "./head-figures";
import type { Side } from "./head-keys";
import { fillLegend } from "./head-legend";
import { collectAll, collectFigures } from "./head-lines";
import { rowOf, type Listing } from "./head-listing";
import { HeadPicture, type HeadPictureParts } from "./head-picture";
import { sceneOf } from "./head-scene";
import type { HeadScroll } from "./head-scroll";
import type { HeadWeights } from "./head-weights";
import { drawnSentence, figuresCaption } from "./head-words";
import type { ViewContext } from "./view";

/** Lines in a picture that stands still, and in one that moves: what two slow cores paint in 40 and 15 ms. */
export const FULL_BUDGET = 6000;
export const MOVING_BUDGET = 2000;

/** The rows that the search has found. */
export interface Matches {
  readonly query: ReadonlySet<number>;
  readonly key: ReadonlySet<number>;
}

export class HeadPainter {
  readonly picture = new HeadPicture();
  /** What was painted last; null before the first picture. */
  parts: HeadPictureParts | null = null;
  private readonly lines = new LineBuffer();
  private legend = "";

  constructor(
    private readonly context: ViewContext,
    private readonly weights: HeadWeights,
  ) {}

  paint(elements: HeadElements, scroll: HeadScroll, listing: Listing, matches: Matches, cursor: (side: Side) => number | null, budget: number): void {
    const { selection, focus } = this.context.store;
    const { queries, keys } = elements;
    const scene = sceneOf(selection, focus, listing);
    const figures = figuresOf(scene, listing, this.weights);
    const scale: StrengthScale = { scale: selection.scale, threshold: selection.threshold, top: figures?.top ?? this.weights.top };
    this.lines.clear();
    if (figures !== null) collectFigures(this.lines, figures, scale);
    else if (scene.kind === "all") collectAll(this.lines, this.weights, listing, { queries: queries.visible, keys: keys.visible }, scale);
    const parts: HeadPictureParts = {
      layout: scroll.layout,
      queries: { size: queries.size, offset: queries.offset },
      keys: { size: keys.size, offset: keys.offset },
      colours: this.context.colours(),
      seriesColours: this.seriesColours(),
      style: lineStyle(this.weights.series.length, scene.kind !== "all"),
      scene,
      figures,
      lines: this.lines,
      order: strongest(this.lines, budget),
      queryMarks: this.edgeMarks("query", listing, figures, matches.query),
      keyMarks: this.edgeMarks("key", listing, figures, matches.key),
    };
    this.parts = parts;
    this.picture.paint(parts);
    this.markColumn(queries, "query", listing.queryRow, figures, matches.query, cursor("query"));
    this.markColumn(keys, "key", listing.keyRow, figures, matches.key, cursor("key"));
    this.write(elements, parts, scale);
  }

  seriesColours(): string[] {
    const colours = this.context.colours();
    const total = this.context.layer().heads.length;
    return this.weights.series.map((series) => colours.head(series.colour, total));
  }

  /** The number beside a row; "" where there is none. */
  figure(figures: Figures | null, side: Side, row: number): string {
    if (figures === null || figures.kind === side) return "";
    const weight = figures.mean[row] ?? 0;
    return weight === 0 ? "" : this.context.format(weight);
  }

  private markColumn(column: TokenColumn, side: Side, rows: Int32Array, figures: Figures | null, matches: ReadonlySet<number>, cursor: number | null): void {
    const { selection, focus } = this.context.store;
    column.mark({
      pinned: rowOf(rows, side === "query" ? selection.query : selection.key),
      cursor: rowOf(rows, side === "query" ? focus.query : focus.key) ?? cursor,
      matches,
      figure: (row) => this.figure(figures, side, row),
    });
  }

  private edgeMarks(side: Side, listing: Listing, figures: Figures | null, matches: ReadonlySet<number>): EdgeMark[] {
    const { selection } = this.context.store;
    const colours = this.context.colours();
    const marks: EdgeMark[] = [];
    if (figures !== null && figures.kind !== side && figures.topMean > 0) {
      figures.mean.forEach((weight, row) => {
        const opacity = weight / figures.topMean;
        if (opacity > 0.05) marks.push({ row, colour: colours.accent, opacity });
      });
    }
    for (const row of matches) marks.push({ row, colour: MATCH_COLOUR, opacity: 1 });
    const pinned = side === "query" ? rowOf(listing.queryRow, selection.query) : rowOf(listing.keyRow, selection.key);
    if (pinned !== null) marks.push({ row: pinned, colour: colours.text, opacity: 1 });
    return marks;
  }

  private write(elements: HeadElements, { figures, style, order, colours }: HeadPictureParts, scale: StrengthScale): void {
    const { format } = this.context;
    const caption = figuresCaption(figures, this.weights.series.map((series) => series.label));
    elements.keySide.caption.textContent = figures?.kind === "query" ? caption : "";
    elements.querySide.caption.textContent = figures?.kind === "key" ? caption : "";
    elements.status.textContent = drawnSentence(this.context, order.length, this.lines.length, scale.threshold);
    const legend = `${colours.dark} ${scale.scale} ${scale.top} ${scale.threshold} ${JSON.stringify(style)}`;
    if (legend === this.legend) return;
    this.legend = legend;
    fillLegend(elements.legend, scale, style, colours, format);
  }
}

/** The same orange as in the style sheet, which is told from all text and from the accent. */
export const MATCH_COLOUR = "#e08a00";
