/** The model view as SVG: every head's picture as an embedded PNG, names as text. */

import { create } from "d3-selection";
import { visible } from "../data/tokens";
import { heatPalette, heatPicture } from "../draw/heatmap";
import { drawLegend } from "../draw/legend";
import { FONT_FAMILY, textGroup } from "../draw/rulers-draw";
import { LEGEND_CAPTION, legendTicks } from "./model-words";
import type { ModelGrid } from "./model-grid";
import { rangeOf, type ModelTiles } from "./model-tiles";
import type { ViewContext } from "./view";

export interface ModelSvgParts {
  readonly context: ViewContext;
  readonly grid: ModelGrid;
  readonly tiles: ModelTiles;
  readonly title: string;
}

const MARGIN = 16;
const TOP = 62;
const LABEL = 120;
const LEGEND_WIDTH = 150;
const LEGEND = 40;

export function modelSvg({ context, grid, tiles, title }: ModelSvgParts): SVGSVGElement {
  const { side, gap } = grid.grid;
  const { scale, order } = context.store.selection;
  const colours = context.colours();
  const palette = heatPalette(colours);
  const heads = Math.max(...grid.lines.map((line) => line.heads.length));
  const width = Math.max(440, 2 * MARGIN + LABEL + heads * (side + gap));
  const height = TOP + grid.lines.length * (side + gap) + LEGEND + MARGIN;
  const svg = create("svg:svg").attr("xmlns", "http://www.w3.org/2000/svg").attr("width", width).attr("height", height);
  svg.attr("viewBox", `0 0 ${width} ${height}`).attr("font-family", FONT_FAMILY).attr("font-size", 11).attr("role", "img").attr("aria-label", title);
  svg.append("rect").attr("width", width).attr("height", height).attr("fill", colours.background);
  svg.append("text").attr("x", MARGIN).attr("y", MARGIN + 12).attr("font-size", 14).attr("font-weight", 600).attr("fill", colours.text).text(title);
  grid.lines.forEach((line, row) => {
    const y = TOP + row * (side + gap);
    const label = svg.append("text").attr("x", MARGIN + LABEL - 10).attr("y", y + side / 2).attr("dy", "0.35em").attr("text-anchor", "end").attr("fill", colours.text);
    const number = String(line.info.index);
    label.text(line.label === "" || line.label === number ? `layer ${number}` : `${number} ${visible(line.label)}`);
    line.heads.forEach((head, column) => {
      const x = MARGIN + LABEL + column * (side + gap);
      const tile = tiles.tile({ layer: line.layer, head });
      const number = line.info.heads[head] ?? head;
      if (row === 0 || order !== "number") {
        const name = svg.append("text").attr("x", x + side / 2).attr("y", y - 3).attr("text-anchor", "middle").attr("fill", colours.muted);
        name.attr("font-size", order === "number" ? 11 : 9).text(order === "number" && column === 0 ? `head ${number}` : String(number));
      }
      const frame = svg.append("rect").attr("x", x).attr("y", y).attr("width", side).attr("height", side).attr("fill", "none").attr("stroke", colours.line);
      if (tile === undefined) return;
      const picture = heatPicture(tile.values, tile.rows, tile.columns, rangeOf(tile, scale), palette);
      const image = svg.append("image").attr("x", x).attr("y", y).attr("width", side).attr("height", side).attr("preserveAspectRatio", "none");
      image.attr("image-rendering", "pixelated").attr("opacity", line.dimmed.has(head) ? 0.2 : 1).attr("href", picture.toDataURL("image/png"));
      frame.raise();
    });
  });
  const legend = textGroup(svg.node() as SVGSVGElement).attr("transform", `translate(${MARGIN + LABEL},${height - LEGEND})`);
  drawLegend(legend, LEGEND_WIDTH, legendTicks(scale), (share) => colours.heat(share), [], colours);
  svg.append("text").attr("x", MARGIN + LABEL + LEGEND_WIDTH + 10).attr("y", height - LEGEND + 9).attr("fill", colours.muted).text(LEGEND_CAPTION);
  return svg.node() as SVGSVGElement;
}
