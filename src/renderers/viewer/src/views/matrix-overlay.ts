/** Rulers, cross-hair, pins and sentence boundaries: everything drawn as SVG around and above the pixels. */

import { create, select } from "d3-selection";
import type { Colours } from "../draw/colours";
import { rulerMarks, type RulerRequest } from "../draw/rulers";
import { drawRuler, FONT_FAMILY, FONT_SIZE, measureText, type EmphasisedMark, type Emphasis, type Group, type RulerStyle } from "../draw/rulers-draw";
import { leftRuler, topRuler, type MatrixLayout, type Side } from "./matrix-layout";
import { boxOf, type Scene } from "./matrix-scene";

/** Rows and columns by index; null for none. */
export interface Lines {
  readonly row: number | null;
  readonly column: number | null;
}

export interface Marks {
  readonly focus: Lines;
  readonly pinned: Lines;
  readonly rowBoundaries: readonly number[];
  readonly columnBoundaries: readonly number[];
  readonly foundRows: readonly number[];
  readonly foundColumns: readonly number[];
}

export interface OverlayParts {
  readonly scene: Pick<Scene, "fit" | "at" | "colours">;
  readonly layout: MatrixLayout;
  readonly rows: Side;
  readonly columns: Side;
  readonly marks: Marks;
}

/** The overlay as a new SVG element that begins at the rulers' corner. */
export function createOverlay(): SVGSVGElement {
  const svg = create("svg:svg").attr("font-family", FONT_FAMILY).attr("font-size", FONT_SIZE).attr("aria-hidden", "true");
  return svg.node() as SVGSVGElement;
}

/** Draws everything anew; cheap, since only what is in view is drawn. */
export function drawOverlay(svg: SVGSVGElement, parts: OverlayParts): void {
  const { layout } = parts;
  const root = select(svg);
  root.selectAll("*").remove();
  root.attr("width", layout.left + layout.fit.width + layout.right + 1).attr("height", layout.top + layout.fit.height + 1);
  const all = root.append("g");
  drawCorner(all, parts);
  // A nested svg cuts what reaches out of the picture, and needs no id as a clip path would.
  const inside = all.append("svg").attr("x", layout.left).attr("y", layout.top).attr("width", layout.fit.width).attr("height", layout.fit.height);
  drawInside(inside.append("g"), parts);
  all.append("rect").attr("x", layout.left - 0.5).attr("y", layout.top - 0.5).attr("width", layout.fit.width + 1).attr("height", layout.fit.height + 1).attr("fill", "none").attr("stroke", parts.scene.colours.line);
  drawRulers(all, parts);
}

function drawCorner(all: Group, { layout, scene }: OverlayParts): void {
  const words = layout.left > 108 ? "queries ↓   keys →" : "query ↓ key →";
  all.append("text").attr("x", layout.left - 8).attr("y", layout.top - 12).attr("text-anchor", "end").attr("font-size", 10).attr("fill", scene.colours.muted).text(words);
}

function drawInside(inside: Group, { scene, marks }: OverlayParts): void {
  const { fit, at, colours } = scene;
  const [wide, high] = [fit.cellWidth * at.k, fit.cellHeight * at.k];
  for (const row of marks.rowBoundaries) line(inside, 0, at.y + row * high, fit.width, at.y + row * high, colours);
  for (const column of marks.columnBoundaries) line(inside, at.x + column * wide, 0, at.x + column * wide, fit.height, colours);
  drawBands(inside, scene, marks.pinned, colours.accent, 1.5);
  drawBands(inside, scene, marks.focus, colours.text, 1);
  drawCell(inside, scene, marks.pinned, colours.accent);
  drawCell(inside, scene, marks.focus, colours.text);
}

function line(inside: Group, x1: number, y1: number, x2: number, y2: number, colours: Colours): void {
  inside.append("line").attr("x1", x1).attr("y1", y1).attr("x2", x2).attr("y2", y2).attr("stroke", colours.text).attr("stroke-opacity", 0.65).attr("stroke-dasharray", "5 3");
}

/** Outlines of a row and of a column; the cells inside keep their colours. */
function drawBands(inside: Group, scene: OverlayParts["scene"], lines: Lines, colour: string, thickness: number): void {
  const { fit } = scene;
  const draw = (x: number, y: number, width: number, height: number): void => {
    outline(inside, [x, y, width, height], [colour, scene.colours.background], thickness);
  };
  if (lines.row !== null) {
    const box = boxOf(scene, { firstRow: lines.row, lastRow: lines.row + 1, firstColumn: 0, lastColumn: 1 });
    const [y, height] = atLeast(box.y, box.height);
    draw(-4, y, fit.width + 8, height);
  }
  if (lines.column !== null) {
    const box = boxOf(scene, { firstRow: 0, lastRow: 1, firstColumn: lines.column, lastColumn: lines.column + 1 });
    const [x, width] = atLeast(box.x, box.width);
    draw(x, -4, width, fit.height + 8);
  }
}

function drawCell(inside: Group, scene: OverlayParts["scene"], lines: Lines, colour: string): void {
  if (lines.row === null || lines.column === null) return;
  const box = boxOf(scene, { firstRow: lines.row, lastRow: lines.row + 1, firstColumn: lines.column, lastColumn: lines.column + 1 });
  const [x, width] = atLeast(box.x, box.width);
  const [y, height] = atLeast(box.y, box.height);
  outline(inside, [x, y, width, height], [colour, scene.colours.background], 2);
}

/** Around a box, and never upon it; with an edge in another colour, so that it is seen on dark cells and on light ones. */
function outline(inside: Group, [x, y, width, height]: readonly [number, number, number, number], [colour, edge]: readonly [string, string], thickness: number): void {
  const out = thickness / 2 + 1;
  const draw = (stroke: string, wide: number, opacity: number) =>
    inside.append("rect").attr("x", x - out).attr("y", y - out).attr("width", width + 2 * out).attr("height", height + 2 * out).attr("fill", "none").attr("stroke", stroke).attr("stroke-width", wide).attr("stroke-opacity", opacity);
  draw(edge, thickness + 2, 0.6);
  draw(colour, thickness, 1);
}

/** A row of half a pixel is marked by a band of three. */
function atLeast(begin: number, size: number, least = 3): [number, number] {
  return size >= least ? [begin, size] : [begin + size / 2 - least / 2, least];
}

function drawRulers(all: Group, parts: OverlayParts): void {
  const { layout, scene, rows, columns, marks } = parts;
  const { fit, at, colours } = scene;
  const left = leftRuler(layout, rows, fit.cellHeight * at.k, at.y);
  const top = topRuler(layout, columns, fit.cellWidth * at.k, at.x);
  const common = { colours, measure: measureText };
  const leftStyle: RulerStyle = { ...common, side: "left", turn: 0, room: layout.left - 6, length: fit.height };
  const shown = rulerMarks(top.request);
  const turn = shown.kind === "numbers" ? 0 : top.turn;
  const room = turn === 0 ? Math.max(fit.cellWidth * at.k, 40) : layout.top - 2;
  const topStyle: RulerStyle = { ...common, side: "top", turn, room, length: fit.width };
  const origin = (x: number, y: number): Group => all.append("g").attr("transform", `translate(${x},${y})`);
  drawRuler(origin(layout.left, layout.top), rulerMarks(left).marks, emphasised(left, marks, "row", marks.foundRows), leftStyle);
  const upright = shown.kind === "numbers" ? { ...topStyle, room: 160 } : topStyle;
  drawRuler(origin(layout.left, layout.top), shown.marks, emphasised(top.request, marks, "column", marks.foundColumns), upright);
}

/** Labels that stand out, in the order in which they are drawn: the one pointed at last, above all others. */
function emphasised(request: RulerRequest, marks: Marks, which: "row" | "column", found: readonly number[]): EmphasisedMark[] {
  const chosen: (readonly [number, Emphasis])[] = found.map((index) => [index, "found"] as const);
  const add = (index: number | null, emphasis: Emphasis): void => {
    if (index !== null) chosen.push([index, emphasis]);
  };
  add(marks.pinned[which], "pinned");
  if (marks.focus[which] !== marks.pinned[which]) add(marks.focus[which], "focus");
  return chosen.flatMap(([index, emphasis]) => {
    const centre = request.offset + (index + 0.5) * request.cell;
    const inView = centre >= 0 && centre <= request.length;
    return inView ? [{ index, centre, text: request.label(index), emphasis }] : [];
  });
}
