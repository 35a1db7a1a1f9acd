/** The model view as SVG: every head's picture as an embedded PNG, names as text. */

import { create, type Selection as Drawing } from "d3-selection";
import { visible } from "../data/tokens";
import { drawLegend, drawNotes } from "../draw/legend";
import { FONT_FAMILY, textGroup } from "../draw/rulers-draw";
import { rowStep } from "../draw/thumbnails";
import { measureHeading, wrapped } from "../draw/wrap";
import { precisionSentence } from "./head-words";
import type { GridCell } from "./model-lines";
import { LEGEND_CAPTION, legendTicks } from "./model-words";
import type { ModelGrid } from "./model-grid";
import { thumbnail, type ModelTiles } from "./model-tiles";
import type { ViewContext } from "./view";

export interface ModelSvgParts {
  readonly context: ViewContext;
  readonly grid: ModelGrid;
  readonly tiles: ModelTiles;
  readonly title: string;
}

type Svg = Drawing<SVGSVGElement, undefined, null, undefined>;

const MARGIN = 16;
/** From the title's last line to the pictures. */
const HEADINGS = 34;
const TITLE = 18;
const TITLE_SIZE = 14;
const LABEL = 54;
const LEGEND_WIDTH = 150;
const LEGEND = 64;
const NOTE = 15;

export function modelSvg(parts: ModelSvgParts): SVGSVGElement {
  const { context, grid, title } = parts;
  const { side, gap, caption } = grid.grid;
  const colours = context.colours();
  const columns = Math.max(1, ...grid.lines.map((line) => line.cells.length));
  const width = Math.max(520, 2 * MARGIN + LABEL + columns * (side + gap));
  const notes = [...context.reader.notes(), precisionSentence(context.trace)].filter((note) => note !== "");
  const lines = wrapped(notes.join(" "), width - 2 * MARGIN - LABEL);
  const titles = wrapped(title, width - 2 * MARGIN, measureHeading(TITLE_SIZE));
  const top = MARGIN - 6 + TITLE * titles.length + HEADINGS;
  const foot = top + grid.lines.length * rowStep(grid.grid) + MARGIN;
  const height = foot + LEGEND + NOTE * (lines.length - 1);
  const svg: Svg = create<SVGSVGElement>("svg:svg").attr("xmlns", "http://www.w3.org/2000/svg").attr("width", width).attr("height", height);
  svg.attr("viewBox", `0 0 ${width} ${height}`).attr("font-family", FONT_FAMILY).attr("font-size", 11).attr("role", "img").attr("aria-label", title);
  svg.append("rect").attr("width", width).attr("height", height).attr("fill", colours.background);
  titles.forEach((line, place) => {
    text(svg, MARGIN, MARGIN + 12 + TITLE * place, line, colours.text, "start").attr("font-size", TITLE_SIZE).attr("font-weight", 600);
  });
  const corner = context.store.selection.ranked ? "rank" : "layer";
  svg.append("text").attr("x", MARGIN).attr("y", top - 5).attr("fill", colours.muted).text(corner);
  grid.lines.forEach((line, row) => {
    const y = top + row * rowStep(grid.grid);
    const label = svg.append("text").attr("x", MARGIN + LABEL - 10).attr("y", y + side / 2).attr("dy", "0.35em");
    label.attr("text-anchor", "end").attr("fill", colours.text).text(visible(line.name));
    line.cells.forEach((cell, column) => {
      const x = MARGIN + LABEL + column * (side + gap);
      if (row === 0 && caption === 0) text(svg, x + side / 2, top - 5, `${column === 0 ? "head " : ""}${cell.info.heads[cell.head] ?? cell.head}`, colours.muted, "middle");
      drawCell(svg, cell, x, y, parts);
    });
  });
  drawFoot(svg, foot, lines, parts);
  return svg.node() as SVGSVGElement;
}

function drawCell(svg: Svg, cell: GridCell, x: number, y: number, { context, grid, tiles }: ModelSvgParts): void {
  const { side, caption } = grid.grid;
  const colours = context.colours();
  const tile = tiles.tile(cell);
  if (tile !== undefined) {
    // One pixel a weight, enlarged by whoever shows the picture; a coarser tile has no more to show.
    const image = svg.append("image").attr("x", x).attr("y", y).attr("width", side).attr("height", side).attr("preserveAspectRatio", "none");
    image.attr("image-rendering", "pixelated").attr("opacity", cell.dimmed ? 0.2 : 1);
    image.attr("href", pictureOf(thumbnail(tile, Math.max(tile.rows, tile.columns), context)));
  }
  svg.append("rect").attr("x", x).attr("y", y).attr("width", side).attr("height", side).attr("fill", "none").attr("stroke", colours.line);
  if (caption === 0) return;
  text(svg, x, y + side + 11, cell.name, colours.text, "start");
  if (cell.figure !== "") text(svg, x, y + side + 23, cell.figure, colours.muted, "start").attr("font-size", 9.5);
}

function pictureOf(image: ImageData): string {
  const canvas = document.createElement("canvas");
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas.toDataURL("image/png");
}

/** The legend, and how exact the numbers are. */
function drawFoot(svg: Svg, top: number, lines: readonly string[], { context, tiles }: ModelSvgParts): void {
  const { modelScale } = context.store.selection;
  const colours = context.colours();
  const legend = textGroup(svg.node() as SVGSVGElement).attr("transform", `translate(${MARGIN + LABEL},${top + 8})`);
  drawLegend(legend, LEGEND_WIDTH, legendTicks(modelScale), (share) => colours.heat(share), [], colours);
  text(svg, MARGIN + LABEL + LEGEND_WIDTH + 12, top + 17, LEGEND_CAPTION, colours.muted, "start");
  drawNotes(legend, LEGEND_WIDTH + 12, 17, tiles.notes(colours), colours);
  lines.forEach((line, place) => text(svg, MARGIN + LABEL, top + 52 + NOTE * place, line, colours.muted, "start"));
}

function text(svg: Svg, x: number, y: number, words: string, fill: string, anchor: string) {
  return svg.append("text").attr("x", x).attr("y", y).attr("text-anchor", anchor).attr("fill", fill).text(visible(words));
}
