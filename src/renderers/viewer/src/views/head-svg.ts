/** The head view's picture as SVG: the rows in the window, their lines as outlines, everything else as shapes and text. */

import { create, type Selection as Drawing } from "d3-selection";
import { visible } from "../data/tokens";
import { opacity, seriesOffset } from "../draw/lines";
import { linePath } from "../draw/lines-svg";
import { fitText, isolated } from "../draw/rulers";
import { measureLike } from "../draw/token-column-text";
import type { TokenColumn } from "../draw/token-column";
import { rowCentre } from "../draw/token-column-rows";
import type { HeadElements } from "./head-elements";
import { MATCH_COLOUR, type Matches } from "./head-painter";
import { fadeOf, figureShapes, type HeadPictureParts } from "./head-picture";
import { pictureTitle } from "./head-words";
import type { ViewContext } from "./view";

type Group = Drawing<SVGGElement, undefined, null, undefined>;

const FONT_FAMILY = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif";
const MARGIN = 16;
const TITLE = 26;
const HEADINGS = 26;
const FOOTER = 24;
/** Lines whose opacity is this near to each other share a path. */
const LEVELS_A_PATH = 16;
const FADES_A_PATH = 10;
const TEXT_GAP = 8;

export function headSvg(parts: HeadPictureParts, elements: HeadElements, context: ViewContext, matches: Matches): SVGSVGElement {
  const { layout, colours } = parts;
  const top = MARGIN + TITLE + HEADINGS;
  const rows = Math.max(parts.queries.size.count, parts.keys.size.count) * parts.queries.size.rowHeight;
  const seen = Math.min(layout.height, rows);
  const width = layout.width + 2 * MARGIN;
  const height = top + seen + FOOTER + MARGIN;
  const title = pictureTitle(context);
  const svg = create("svg:svg").attr("xmlns", "http://www.w3.org/2000/svg").attr("width", width).attr("height", height);
  svg.attr("viewBox", `0 0 ${width} ${height}`).attr("font-family", FONT_FAMILY).attr("font-size", 13).attr("role", "img").attr("aria-label", title);
  svg.append("rect").attr("width", width).attr("height", height).attr("fill", colours.background);
  const text = (x: number, y: number, words: string, fill: string, anchor = "start"): void => {
    svg.append("text").attr("x", x).attr("y", y).attr("fill", fill).attr("text-anchor", anchor).text(visible(words));
  };
  svg.append("text").attr("x", MARGIN).attr("y", MARGIN + 13).attr("font-weight", 600).attr("font-size", 14).attr("fill", colours.text).text(visible(title));
  const headings = top - 10;
  text(MARGIN + layout.lines.left - TEXT_GAP, headings, elements.querySide.name.textContent ?? "", colours.text, "end");
  text(MARGIN + layout.lines.left + layout.lines.width / 2, headings, "attends to →", colours.muted, "middle");
  text(MARGIN + layout.keyText.left + TEXT_GAP, headings, elements.keySide.name.textContent ?? "", colours.text);
  text(MARGIN, height - MARGIN, elements.status.textContent ?? "", colours.muted);
  // A nested picture cuts off lines that leave the window, without an id that may exist twice in a page.
  const inner = svg.append("svg").attr("x", MARGIN).attr("y", top).attr("width", layout.width).attr("height", seen).attr("overflow", "hidden");
  drawLines(inner.append<SVGGElement>("g"), parts);
  drawShapes(inner.append<SVGGElement>("g"), parts);
  drawTokens(inner.append<SVGGElement>("g"), elements.queries, parts, "query", matches.query);
  drawTokens(inner.append<SVGGElement>("g"), elements.keys, parts, "key", matches.key);
  return svg.node() as SVGSVGElement;
}

/** One path for each colour and opacity, weakest first, as on the canvas. */
function drawLines(group: Group, parts: HeadPictureParts): void {
  const { lines, order, layout, queries, keys, seriesColours, scene, style } = parts;
  const paths = new Map<string, { fill: string; opacity: number; d: string[] }>();
  const x0 = layout.lines.left;
  for (const line of order) {
    const series = lines.series[line]!;
    const level = lines.level[line]!;
    const shift = seriesOffset(series, seriesColours.length, queries.size.rowHeight);
    const y0 = rowCentre(queries.size, queries.offset, lines.query[line]!) + shift;
    const y1 = rowCentre(keys.size, keys.offset, lines.key[line]!) + shift;
    const fade = Math.round(fadeOf(scene, lines.key[line]!, y0, y1, layout.height) * FADES_A_PATH) / FADES_A_PATH;
    const name = `${Math.floor(level / LEVELS_A_PATH)} ${fade} ${series}`;
    const path = paths.get(name) ?? { fill: seriesColours[series]!, opacity: opacity(level, style) * fade, d: [] };
    paths.set(name, path);
    path.d.push(linePath({ x0, y0, x1: x0 + layout.lines.width, y1 }, level, style));
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
  const figures = side === "query" ? layout.queryFigures : layout.keyFigures;
  const atQuery = side === "query";
  const measure = measureLike(column.element);
  for (let row = column.visible.first; row < column.visible.last; row++) {
    const token = column.token(row);
    if (token === undefined) continue;
    const y = rowCentre(column.size, column.offset, row);
    const words = isolated(fitText(token.text, text.width - 2 * TEXT_GAP, measure));
    const ink = matches.has(row) ? MATCH_COLOUR : token.special ? colours.muted : colours.text;
    const x = atQuery ? text.left + text.width - TEXT_GAP : text.left + TEXT_GAP;
    const label = group.append("text").attr("x", x).attr("y", y).attr("dy", "0.35em").attr("fill", ink).text(words);
    label.attr("text-anchor", atQuery ? "end" : "start").attr("font-weight", column.isPinned(row) ? 700 : 400);
    const figure = column.figure(row);
    if (figure === "") continue;
    const end = atQuery ? figures.left : figures.left + figures.width;
    const number = group.append("text").attr("x", end).attr("y", y).attr("dy", "0.35em").attr("fill", colours.muted).attr("font-size", 11);
    number.attr("text-anchor", atQuery ? "start" : "end").text(figure);
  }
}
