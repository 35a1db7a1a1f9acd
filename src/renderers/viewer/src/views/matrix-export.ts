/** The matrix as a self-contained SVG: pixels as an embedded PNG, everything else as shapes and text. */

import { create, select } from "d3-selection";
import { visible } from "../data/tokens";
import { drawLegend, type LegendNote, type LegendTick } from "../draw/legend";
import { FONT_FAMILY, FONT_SIZE } from "../draw/rulers-draw";
import { createOverlay, drawOverlay, type OverlayParts } from "./matrix-overlay";
import type { CellNumber } from "./matrix-paint";

const MARGIN = 16;
const LINE = 17;
const LEGEND = 40;

export interface MatrixExport {
  readonly title: string;
  readonly lines: readonly string[];
  readonly canvas: HTMLCanvasElement;
  readonly numbers: readonly CellNumber[];
  readonly overlay: OverlayParts;
  readonly legend: { ticks: readonly LegendTick[]; notes: readonly LegendNote[]; width: number };
}

export function exportMatrix(parts: MatrixExport): SVGSVGElement {
  const { layout, scene } = parts.overlay;
  const { colours } = scene;
  const head = MARGIN + LINE * (1 + parts.lines.length) + 6;
  const overlay = createOverlay();
  drawOverlay(overlay, parts.overlay);
  const width = Math.max(560, Number(overlay.getAttribute("width")) + 2 * MARGIN);
  const height = head + Number(overlay.getAttribute("height")) + LEGEND + MARGIN;
  const svg = create("svg:svg").node() as SVGSVGElement;
  const root = select<SVGSVGElement, unknown>(svg).attr("xmlns", "http://www.w3.org/2000/svg").attr("width", width).attr("height", height).attr("viewBox", `0 0 ${width} ${height}`);
  root.attr("font-family", FONT_FAMILY).attr("font-size", FONT_SIZE).attr("role", "img").attr("aria-label", parts.title);
  root.append("rect").attr("width", width).attr("height", height).attr("fill", colours.background);
  root.append("text").attr("x", MARGIN).attr("y", MARGIN + 12).attr("font-size", 14).attr("font-weight", 600).attr("fill", colours.text).text(visible(parts.title));
  parts.lines.forEach((line, place) => {
    root.append("text").attr("x", MARGIN).attr("y", MARGIN + 12 + LINE * (place + 1)).attr("fill", colours.muted).text(visible(line));
  });
  const picture = root.append("g").attr("transform", `translate(${MARGIN},${head})`);
  drawPixels(picture.node() as SVGGElement, parts);
  select(overlay).attr("x", MARGIN).attr("y", head);
  root.append(() => overlay);
  const legend = root.append("g").attr("transform", `translate(${MARGIN + layout.left},${height - LEGEND - MARGIN + 18})`);
  drawLegend(legend, parts.legend.width, parts.legend.ticks, (share) => colours.heat(share), parts.legend.notes, colours);
  return svg;
}

function drawPixels(group: SVGGElement, { canvas, numbers, overlay }: MatrixExport): void {
  const { layout } = overlay;
  const inside = select(group).append("g").attr("transform", `translate(${layout.left},${layout.top})`);
  inside
    .append("image")
    .attr("width", layout.fit.width)
    .attr("height", layout.fit.height)
    .attr("preserveAspectRatio", "none")
    .attr("image-rendering", "pixelated")
    .attr("href", canvas.toDataURL("image/png"));
  for (const { x, y, text, ink } of numbers) {
    inside.append("text").attr("x", x).attr("y", y).attr("dy", "0.35em").attr("text-anchor", "middle").attr("fill", ink).text(text);
  }
}
