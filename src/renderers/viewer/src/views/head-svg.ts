/** The head view's picture as SVG: the rows in the window, their lines as outlines, everything else as shapes and text. */

import { create, type Selection as Drawing } from "d3-selection";
import { visible } from "../data/tokens";
import { opacity, strongStyle } from "../draw/lines";
import { linePath } from "../draw/lines-svg";
import { fitText, isolated } from "../draw/rulers";
import { FONT_FAMILY } from "../draw/rulers-draw";
import { measureHeading, wrapped } from "../draw/wrap";
import { measureLike } from "../draw/token-column-text";
import type { TokenColumn } from "../draw/token-column";
import { rowCentre } from "../draw/token-column-rows";
import type { Colours } from "../draw/colours";
import type { HeadElements } from "./head-elements";
import { NUMBER_WIDTH, type Strip } from "./head-layout";
import { heightsOf, standsOut } from "./head-ends";
import type { Matches } from "./head-matches";
import { MATCH_COLOUR, type HeadPainter } from "./head-painter";
import { drawingOrder, figureShapes, type HeadPictureParts } from "./head-picture";
import { drawKeys, keysHeight } from "./head-svg-keys";
import { pictureTitle, precisionSentence } from "./head-words";
import type { ViewContext } from "./view";

export type Group = Drawing<SVGGElement, undefined, null, undefined>;

const MARGIN = 16;
const TITLE = 26;
const TITLE_SIZE = 15;
const HEADINGS = 28;
const LINE_HEIGHT = 18;
/** Lines whose opacity is this near to each other share a path. */
const LEVELS_A_PATH = 16;
const FADES_A_PATH = 10;
const TEXT_GAP = 8;

export function headSvg(painter: HeadPainter, parts: HeadPictureParts, elements: HeadElements, context: ViewContext, matches: Matches): SVGSVGElement {
  const { layout, colours } = parts;
  const rows = Math.max(parts.queries.size.count, parts.keys.size.count) * parts.queries.size.rowHeight;
  const seen = Math.min(layout.height, rows);
  const width = Math.ceil(layout.width + 2 * MARGIN);
  const title = pictureTitle(context);
  const titles = wrapped(title, width - 2 * MARGIN, measureHeading(TITLE_SIZE));
  const top = MARGIN + TITLE * titles.length + HEADINGS;
  const room = width - 2 * MARGIN;
  const sentences = [elements.status.textContent ?? "", ...context.reader.notes(), precisionSentence(context.trace)].filter((note) => note !== "");
  const notes = sentences.flatMap((sentence) => wrapped(sentence, room));
  const keys = painter.keys(parts);
  const below = top + seen + 14 + keysHeight(keys, room);
  const height = Math.ceil(below + notes.length * LINE_HEIGHT + MARGIN);
  const svg = create("svg:svg").attr("xmlns", "http://www.w3.org/2000/svg").attr("width", width).attr("height", height);
  svg.attr("viewBox", `0 0 ${width} ${height}`).attr("font-family", FONT_FAMILY).attr("font-size", 13).attr("role", "img").attr("aria-label", title);
  svg.append("rect").attr("width", width).attr("height", height).attr("fill", colours.background);
  titles.forEach((line, place) => {
    svg.append("text").attr("x", MARGIN).attr("y", MARGIN + 13 + TITLE * place).attr("font-weight", 600).attr("font-size", TITLE_SIZE).attr("fill", colours.text).text(line);
  });
  drawHeadings(svg.append<SVGGElement>("g").attr("transform", `translate(${MARGIN},${top - 11})`), parts, elements);
  // A nested picture cuts off lines that leave the window, without an id that may exist twice in a page.
  const inner = svg.append("svg").attr("x", MARGIN).attr("y", top).attr("width", layout.width).attr("height", seen).attr("overflow", "hidden");
  drawLines(inner.append<SVGGElement>("g"), parts);
  drawShapes(inner.append<SVGGElement>("g"), parts);
  drawTokens(inner.append<SVGGElement>("g"), elements.queries, parts, "query", matches.query);
  drawTokens(inner.append<SVGGElement>("g"), elements.keys, parts, "key", matches.key);
  drawKeys(svg.append<SVGGElement>("g").attr("transform", `translate(${MARGIN},${top + seen + 14})`), keys, room, colours);
  notes.forEach((note, place) => {
    svg.append("text").attr("x", MARGIN).attr("y", below + 13 + place * LINE_HEIGHT).attr("font-size", 11).attr("fill", colours.muted).text(note);
  });
  return svg.node() as SVGSVGElement;
}

function drawHeadings(group: Group, { layout, colours, figures }: HeadPictureParts, elements: HeadElements): void {
  const text = (x: number, words: string, fill: string, anchor: string): Drawing<SVGTextElement, undefined, null, undefined> =>
    group.append("text").attr("x", x).attr("fill", fill).attr("text-anchor", anchor).text(visible(words));
  text(layout.lines.left - TEXT_GAP, elements.querySide.name.textContent ?? "", colours.text, "end").attr("font-weight", 600);
  text(layout.lines.left + layout.lines.width / 2, "attends to →", colours.muted, "middle");
  text(layout.keyText.left + TEXT_GAP, elements.keySide.name.textContent ?? "", colours.text, "start").attr("font-weight", 600);
  if (figures === null) return;
  const onKeys = figures.kind === "query";
  const caption = (onKeys ? elements.keySide : elements.querySide).caption.textContent ?? "";
  const x = onKeys ? layout.keyFigures.left + layout.keyFigures.width : layout.queryFigures.left;
  if (caption !== "") text(x, caption, colours.muted, onKeys ? "end" : "start").attr("font-size", 11);
}

/** One path for each colour and opacity, weakest first, as on the canvas. */
function drawLines(group: Group, parts: HeadPictureParts): void {
  const { lines, layout, seriesColours, scene, style } = parts;
  const paths = new Map<string, { fill: string; opacity: number; d: string[] }>();
  const strong = strongStyle(style);
  const x0 = layout.lines.left;
  for (const line of drawingOrder(parts)) {
    const series = lines.series[line]!;
    const level = lines.level[line]!;
    const { from: y0, to: y1, fade: exact } = heightsOf(parts, line);
    const out = standsOut(scene, lines.key[line]!);
    const look = out ? strong : style;
    const fade = Math.round(exact * FADES_A_PATH) / FADES_A_PATH;
    const name = `${out} ${Math.floor(level / LEVELS_A_PATH)} ${fade} ${series}`;
    const path = paths.get(name) ?? { fill: seriesColours[series]!, opacity: opacity(level, look) * fade, d: [] };
    paths.set(name, path);
    path.d.push(linePath({ x0, y0, x1: x0 + layout.lines.width, y1 }, level, look));
  }
  for (const { fill, opacity: share, d } of paths.values()) {
    group.append("path").attr("fill", fill).attr("fill-opacity", share.toFixed(3)).attr("d", d.join(""));
  }
}

function drawShapes(group: Group, parts: HeadPictureParts): void {
  if (parts.figures === null) return;
  for (const { x, y, width, height, fill, opacity: share } of figureShapes(parts, parts.figures)) {
    const box = group.append("rect").attr("x", x.toFixed(1)).attr("y", y.toFixed(1)).attr("width", width.toFixed(1)).attr("height", height.toFixed(1));
    box.attr("fill", fill).attr("fill-opacity", share.toFixed(3));
  }
}

function drawTokens(group: Group, column: TokenColumn, parts: HeadPictureParts, side: "query" | "key", matches: ReadonlySet<number>): void {
  const { layout, colours } = parts;
  const text = side === "query" ? layout.queryText : layout.keyText;
  const atQuery = side === "query";
  const measure = measureLike(column.element);
  for (let row = column.visible.first; row < column.visible.last; row++) {
    const token = column.token(row);
    if (token === undefined) continue;
    const y = rowCentre(column.size, column.offset, row);
    if (token.part !== "") drawPart(group, token.part, row, column, text, atQuery, colours);
    const words = isolated(fitText(token.text, text.width - 2 * TEXT_GAP, measure));
    const figure = column.figure(row);
    const ink = matches.has(row) ? MATCH_COLOUR : token.special && figure === "" ? colours.muted : colours.text;
    const x = atQuery ? text.left + text.width - TEXT_GAP : text.left + TEXT_GAP;
    const label = group.append("text").attr("x", x).attr("y", y).attr("dy", "0.35em").attr("fill", ink).text(words);
    label.attr("text-anchor", atQuery ? "end" : "start").attr("font-weight", column.isPinned(row) ? 600 : 400);
    if (figure === "") continue;
    const start = atQuery ? layout.queryFigures.left : layout.keyFigures.left + layout.keyFigures.width - NUMBER_WIDTH;
    group.append("text").attr("x", start).attr("y", y).attr("dy", "0.35em").attr("fill", colours.muted).attr("font-size", 11).text(figure);
  }
}

/** Which of two sentences begins at a row, and a rule above it unless it is the first. */
function drawPart(group: Group, part: string, row: number, column: TokenColumn, text: Strip, atQuery: boolean, colours: Colours): void {
  const y = rowCentre(column.size, column.offset, row) - column.size.rowHeight / 2;
  if (row > 0) group.append("line").attr("x1", text.left).attr("x2", text.left + text.width).attr("y1", y).attr("y2", y).attr("stroke", colours.muted).attr("stroke-width", 2);
  const x = atQuery ? text.left : text.left + text.width;
  const label = group.append("text").attr("x", x).attr("y", y + 11).attr("font-size", 10).attr("fill", colours.muted).text(part);
  label.attr("text-anchor", atQuery ? "start" : "end");
}
