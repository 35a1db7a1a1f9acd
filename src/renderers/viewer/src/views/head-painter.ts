/** Turns the selection, the pointer and the weights at hand into one picture of the head view. */

import { seriesColour } from "../draw/colours";
import { LineBuffer, lineStyle, strongest, type StrengthScale } from "../draw/lines";
import type { TokenColumn } from "../draw/token-column";
import type { EdgeMark } from "./head-edges";
import type { HeadElements } from "./head-elements";
import { figuresOf, isKnown, type Figures } from "./head-figures";
import type { Side } from "./head-keys";
import { fillLegend, legendSamples, legendScale, sampleText } from "./head-legend";
import { alwaysDrawn, collectAll, collectFigures } from "./head-lines";
import { rowOf, type Listing } from "./head-listing";
import type { Matches } from "./head-matches";
import { HeadPicture, type HeadPictureParts } from "./head-picture";
import { sceneOf } from "./head-scene";
import type { HeadScroll } from "./head-scroll";
import { HeadStress } from "./head-stress";
import type { HeadWeights } from "./head-weights";
import type { PictureKeys } from "./head-svg-keys";
import { drawnSentence, figuresCaption } from "./head-words";
import type { ViewContext } from "./view";

/** Lines in a picture that stands still, and in one that moves: what two slow cores paint in 40 and 15 ms. */
export const FULL_BUDGET = 6000;
export const MOVING_BUDGET = 2000;

export class HeadPainter {
  readonly picture = new HeadPicture();
  readonly stressed = new HeadStress();
  /** What was painted last; null before the first picture. */
  parts: HeadPictureParts | null = null;
  private readonly lines = new LineBuffer();
  private legend = "";
  /** What the legend explains. */
  private scale: StrengthScale = { scale: "linear", top: 0, threshold: 0 };

  constructor(
    private readonly context: ViewContext,
    private readonly weights: HeadWeights,
  ) {}

  paint(elements: HeadElements, scroll: HeadScroll, listing: Listing, matches: Matches, cursor: (side: Side) => number | null, budget: number): void {
    const { selection, focus } = this.context.store;
    const { queries, keys } = elements;
    const scene = sceneOf(selection, focus, listing);
    const figures = figuresOf(scene, listing, this.weights);
    const scale: StrengthScale = { scale: selection.scale, threshold: this.context.threshold.get(), top: figures?.top ?? this.weights.top };
    this.scale = legendScale(scale, scene.kind !== "all");
    this.stress(elements, null);
    this.lines.clear();
    if (figures !== null) collectFigures(this.lines, figures, scale, scene.kind === "query" ? scene.other : null);
    else if (scene.kind === "all") collectAll(this.lines, this.weights, listing, queries.visible, scale);
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

  /** Shows one of the lines and both of its tokens before all others; null for none. */
  stress(elements: HeadElements, line: number | null): void {
    const { parts } = this;
    elements.queries.markEnd(line === null ? null : this.lines.query[line]!);
    elements.keys.markEnd(line === null ? null : this.lines.key[line]!);
    if (line === null || parts === null) this.stressed.clear();
    else this.stressed.paint(parts, line);
  }

  seriesColours(): string[] {
    const total = this.context.layer().heads.length;
    return this.weights.series.map((series) => seriesColour(this.context.colours(), series, total));
  }

  /** What the last picture's colours and strengths mean. */
  keys({ style, seriesColours }: HeadPictureParts): PictureKeys {
    const { scale, weights } = this;
    const heads = weights.series.map(({ label }, place) => ({ label, colour: seriesColours[place]! }));
    const format = (weight: number): string => this.context.format(weight);
    const samples = legendSamples(scale).map((sample) => ({ ...sample, text: sampleText(sample.weight, scale.top, format) }));
    return { heads, samples, style };
  }

  /** The number beside a row; "" where there is none. */
  figure(figures: Figures | null, side: Side, row: number): string {
    if (figures === null || figures.kind === side) return "";
    const weight = figures.mean[row] ?? 0;
    const most = isKnown(figures, row) ? weight : figures.most[row]!;
    return most === 0 ? "" : this.context.format(weight, most);
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

  private write(elements: HeadElements, parts: HeadPictureParts, scale: StrengthScale): void {
    const { figures, style, order, colours, scene } = parts;
    const { format } = this.context;
    const caption = figuresCaption(figures, this.weights.series.map((series) => series.label));
    write(elements.keySide.caption, figures?.kind === "query" ? caption : "");
    write(elements.querySide.caption, figures?.kind === "key" ? caption : "");
    const series = this.weights.series.length;
    const always = scene.kind === "all" ? 0 : alwaysDrawn(series);
    const counts = { drawn: order.length, found: this.lines.length, threshold: scale.threshold };
    write(elements.status, drawnSentence({ ...counts, always, series }));
    const legend = `${colours.dark} ${JSON.stringify([this.scale, style])}`;
    if (legend === this.legend) return;
    this.legend = legend;
    fillLegend(elements.legend, this.scale, style, colours, format);
  }
}

/** Unchanged text is left alone, as the browser would lay it out again. */
function write(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** The same orange as in the style sheet, which is told from all text and from the accent. */
export const MATCH_COLOUR = "#e08a00";
