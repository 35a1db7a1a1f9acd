/** The matrix as a self-contained SVG: pixels as an embedded PNG, everything else as shapes and text. */

import { create, select } from "d3-selection";
import { drawLegend, type LegendNote, type LegendTick } from "../draw/legend";
import { FONT_FAMILY, FONT_SIZE } from "../draw/rulers-draw";
import { measureHeading, wrapped } from "../draw/wrap";
import { createOverlay, drawOverlay, type OverlayParts } from "./matrix-overlay";
import type { CellNumber } from "./matrix-paint";

const MARGIN = 16;
const LINE = 17;
const TITLE_SIZE = 14;
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
  const overlay = createOverlay();
  drawOverlay(overlay, parts.overlay);
  const width = Math.max(560, Number(overlay.getAttribute("width")) + 2 * MARGIN);
  const room = width - 2 * MARGIN;
  const titles = wrapped(parts.title, room, measureHeading(TITLE_SIZE));
  const lines = parts.lines.flatMap((line) => wrapped(line, room));
  const head = MARGIN + LINE * (titles.length + lines.length) + 6;
  const height = head + Number(overlay.getAttribute("height")) + LEGEND + MARGIN;
  const svg = create("svg:svg").node() as SVGSVGElement;
  const root = select<SVGSVGElement, unknown>(svg).attr("xmlns", "http://www.w3.org/2000/svg").attr("width", width).attr("height", height).attr("viewBox", `0 0 ${width} ${height}`);
  root.attr("font-family", FONT_FAMILY).attr("font-size", FONT_SIZE).attr("role", "img").attr("aria-label", parts.title);
  root.append("rect").attr("width", width).attr("height", height).attr("fill", colours.background);
  [...titles, ...lines].forEach((line, place) => {
    const text = root.append("text").attr("x", MARGIN).attr("y", MARGIN + 12 + LINE * place).text(line);
    if (place < titles.length) text.attr("font-size", TITLE_SIZE).attr("font-weight", 600).attr("fill", colours.text);
    else text.attr("fill", colours.muted);
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
