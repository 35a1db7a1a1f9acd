/** The part of the neuron view that is in sight as a self-contained SVG. */

import { create, select } from "d3-selection";
import { drawStrip } from "../draw/heatmap-diverging";
import { fitText, isolated } from "../draw/rulers";
import { FONT_FAMILY, FONT_SIZE, measureText, type Group } from "../draw/rulers-draw";
import type { Colours } from "../draw/colours";
import { measureHeading, wrapped } from "../draw/wrap";
import { LEGEND_HEIGHT } from "../draw/legend";
import { products } from "./neuron-arithmetic";
import { columnStarts, signed, type ColumnWidths } from "./neuron-columns";
import { isMasked, keyVector } from "./neuron-data";
import { drawNeuronLegend } from "./neuron-elements";
import { barIn, type RowStyle, type Span } from "./neuron-row";
import { KEY_ROW, type NeuronTable } from "./neuron-table";

const MARGIN = 16;
const LINE = 17;
const TITLE_SIZE = 14;
const HEAD = 54;
const BAR = 10;

interface Page {
  readonly all: Group;
  readonly style: RowStyle;
  readonly widths: ColumnWidths;
  readonly starts: ReturnType<typeof columnStarts>;
  readonly colours: Colours;
}

export function exportNeuron(table: NeuronTable, colours: Colours, title: string, lines: readonly string[]): SVGSVGElement {
  const { style, widths } = table;
  if (style === null) throw new Error("the table of the neuron view is still empty: wait until it is drawn");
  const starts = columnStarts(widths, style.steps.length);
  const { first, last } = visibleRows(table);
  const keys = table.keys.slice(first, last);
  const titles = wrapped(title, starts.width, measureHeading(TITLE_SIZE));
  const texts = lines.flatMap((line) => wrapped(line, starts.width));
  const top = MARGIN + LINE * (texts.length + titles.length) + LEGEND_HEIGHT + 12;
  const [width, height] = [starts.width + 2 * MARGIN, top + HEAD + keys.length * KEY_ROW + MARGIN];
  const svg = create("svg:svg").node() as SVGSVGElement;
  const root = select<SVGSVGElement, unknown>(svg).attr("xmlns", "http://www.w3.org/2000/svg").attr("width", width).attr("height", height).attr("viewBox", `0 0 ${width} ${height}`);
  root.attr("font-family", FONT_FAMILY).attr("font-size", FONT_SIZE).attr("role", "img").attr("aria-label", title);
  root.append("rect").attr("width", width).attr("height", height).attr("fill", colours.background);
  const page: Page = { all: root.append("g").attr("transform", `translate(${MARGIN},0)`), style, widths, starts, colours };
  titles.forEach((line, place) => write(page, 0, MARGIN + 12 + LINE * place, line, colours.text).attr("font-size", TITLE_SIZE).attr("font-weight", 600));
  texts.forEach((line, place) => write(page, 0, MARGIN + 12 + LINE * (titles.length + place), line, colours.muted));
  const legend = create("svg:svg").node() as SVGSVGElement;
  drawNeuronLegend(legend, { vector: style.data.vectorLimit, product: style.data.productLimit }, colours);
  select(legend).attr("y", top - LEGEND_HEIGHT - 6);
  page.all.append(() => legend);
  drawHead(page, top, table);
  keys.forEach((key, row) => drawRow(page, top + HEAD + row * KEY_ROW, key, table.labelOf(key, "key")));
  return svg;
}

/** Rows in sight, without those kept ready beside them. */
function visibleRows(table: NeuronTable): { first: number; last: number } {
  const { scrollTop, clientHeight } = table.scroller;
  const first = Math.floor(scrollTop / KEY_ROW);
  return { first, last: Math.min(table.keys.length, first + Math.max(1, Math.floor((clientHeight - HEAD) / KEY_ROW))) };
}

function drawHead(page: Page, top: number, table: NeuronTable): void {
  const { style, starts, widths, colours } = page;
  const { data } = style;
  write(page, 0, top + 16, fitted(`q of ${data.query} ${table.labelOf(data.query, "query")}`, widths.label), colours.text);
  drawVector(page, starts.k, top + 4, data.queryVector, data.vectorLimit);
  const titles: [number, string][] = [[0, "Key token"], [starts.k, "k"], [starts.product, "q × k"]];
  style.steps.forEach((step, place) => titles.push([starts.steps[place] ?? 0, step.title]));
  titles.push([starts.weight, "softmax: weight"]);
  for (const [x, text] of titles) write(page, x, top + 43, text, colours.muted);
  page.all.append("line").attr("x2", starts.width).attr("y1", top + HEAD - 2).attr("y2", top + HEAD - 2).attr("stroke", colours.line);
}

function drawRow(page: Page, y: number, key: number, label: string): void {
  const { style, starts, widths, colours, all } = page;
  const { data } = style;
  const masked = isMasked(data, key);
  const ink = masked ? colours.muted : colours.text;
  write(page, 0, y + 16, fitted(`${key} ${label}`, widths.label), ink);
  const vector = keyVector(data, key);
  drawVector(page, starts.k, y + 4, vector, data.vectorLimit);
  drawVector(page, starts.product, y + 4, products(data.queryVector, vector), data.productLimit);
  style.steps.forEach((step, place) => {
    const value = step.values(data)[key] ?? 0;
    drawSigned(page, starts.steps[place] ?? 0, y, value, style.spans[place], ink);
  });
  const weight = data.row.weights[key] ?? 0;
  const room = widths.weight - 56;
  all.append("rect").attr("x", starts.weight).attr("y", y + 7).attr("width", Math.max(0, Math.min(1, weight)) * room).attr("height", BAR).attr("fill", style.weightColour);
  write(page, starts.weight + widths.weight, y + 16, masked ? "masked" : style.format(weight), ink).attr("text-anchor", "end");
}

function drawSigned(page: Page, x: number, y: number, value: number, span: Span | undefined, ink: string): void {
  if (span === undefined) return;
  const room = page.widths.step - 52;
  const { begin, length, zero } = barIn(value, span);
  page.all.append("line").attr("x1", x + zero * room).attr("x2", x + zero * room).attr("y1", y + 5).attr("y2", y + 7 + BAR + 2).attr("stroke", page.colours.line);
  const bar = page.all.append("rect").attr("y", y + 7).attr("height", BAR).attr("width", length * room);
  bar.attr("x", x + begin * room).attr("fill", page.colours.diverging(value < 0 ? -0.75 : 0.75));
  write(page, x + page.widths.step, y + 16, signed(value), ink).attr("text-anchor", "end");
}

/** A strip as an embedded picture of one pixel a number. */
function drawVector(page: Page, x: number, y: number, values: Float32Array, limit: number): void {
  const canvas = document.createElement("canvas");
  drawStrip(canvas, values, page.style.dimensions, limit, page.style.palette);
  page.all.append("image").attr("x", x).attr("y", y).attr("width", page.widths.strip).attr("height", KEY_ROW - 8).attr("preserveAspectRatio", "none").attr("image-rendering", "pixelated").attr("href", canvas.toDataURL("image/png"));
}

function fitted(text: string, room: number): string {
  return isolated(fitText(text, room, measureText));
}

function write(page: Page, x: number, y: number, text: string, fill: string) {
  return page.all.append("text").attr("x", x).attr("y", y).attr("fill", fill).text(text);
}
