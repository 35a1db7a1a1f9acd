/** The model view as a self-contained SVG: thumbnails as embedded PNG, numbers as text. */

import { create } from "d3-selection";
import { FONT_FAMILY, FONT_SIZE } from "../draw/rulers-draw";
import { visible } from "../data/tokens";
import type { Cell } from "./model-grid";
import type { ViewContext } from "./view";

const MARGIN = 16;
const NAMES = 56;
const HEAD = 44;
const GAP = 8;
const NUMBER = 14;

export function exportModel(context: ViewContext, rows: readonly (readonly Cell[])[], side: number): SVGSVGElement {
  const colours = context.colours();
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const width = 2 * MARGIN + NAMES + columns * (side + GAP);
  const height = MARGIN + HEAD + rows.length * (side + GAP + NUMBER);
  const root = create("svg:svg").attr("xmlns", "http://www.w3.org/2000/svg").attr("viewBox", `0 0 ${width} ${height}`);
  root.attr("width", width).attr("height", height).attr("font-family", FONT_FAMILY).attr("font-size", FONT_SIZE).attr("role", "img");
  root.append("rect").attr("width", width).attr("height", height).attr("fill", colours.background);
  const title = root.append("text").attr("x", MARGIN).attr("y", MARGIN + 12).attr("font-size", 14).attr("font-weight", 600);
  title.attr("fill", colours.text).text(visible(`${context.trace.model}: all heads`));
  root.append("text").attr("x", MARGIN).attr("y", MARGIN + 28).attr("fill", colours.muted).text("Each map from 0 to its own largest weight");
  rows.forEach((row, line) => {
    const y = MARGIN + HEAD + line * (side + GAP + NUMBER);
    const layer = context.trace.layers[row[0]?.place ?? 0];
    root.append("text").attr("x", MARGIN).attr("y", y + side / 2).attr("fill", colours.muted).text(`layer ${layer?.index ?? ""}`);
    row.forEach((cell, column) => {
      const x = MARGIN + NAMES + column * (side + GAP);
      const image = root.append("image").attr("x", x).attr("y", y).attr("width", side).attr("height", side);
      image.attr("preserveAspectRatio", "none").attr("image-rendering", "pixelated").attr("href", cell.canvas.toDataURL("image/png"));
      root.append("rect").attr("x", x).attr("y", y).attr("width", side).attr("height", side).attr("fill", "none").attr("stroke", colours.line);
      const number = String(layer?.heads[cell.head] ?? cell.head);
      root.append("text").attr("x", x).attr("y", y + side + 11).attr("fill", colours.muted).text(number);
    });
  });
  return root.node() as SVGSVGElement;
}
