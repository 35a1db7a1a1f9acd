/** Draws token rulers as SVG text, the same on the page and in an export. */

import { select, type Selection as Picked } from "d3-selection";
import type { Colours } from "./colours";
import { fitText, isolated, withoutOverlap, type Measure, type RulerMark, type Turn } from "./rulers";

export type Group = Picked<SVGGElement, unknown, null, undefined>;

export const FONT_SIZE = 11;
export const FONT_FAMILY = 'system-ui, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif';
/** Between a label and the picture. */
const GAP = 6;
const HALF_LINE = 6;

export interface RulerStyle {
  readonly side: "left" | "top";
  readonly turn: Turn;
  /** Pixels that a label may take, away from the picture; and those along the ruler, beyond which nothing is drawn. */
  readonly room: number;
  readonly length: number;
  readonly colours: Colours;
  readonly measure: Measure;
}

/** How a label stands out: the one pointed at, a pinned one, one that the search found. */
export type Emphasis = "focus" | "pinned" | "found";

export interface EmphasisedMark extends RulerMark {
  readonly emphasis: Emphasis;
}

/** Fills `group`, whose origin is the corner of the picture: x along the top ruler, y along the left one. */
export function drawRuler(
  group: Group,
  marks: readonly RulerMark[],
  emphasised: readonly EmphasisedMark[],
  style: RulerStyle,
): void {
  group.selectAll("*").remove();
  for (const mark of emphasised) if (mark.emphasis === "found") drawTick(group, mark.centre, style);
  for (const { mark, emphasis } of readable(marks, emphasised, style)) drawMark(group, mark, emphasis, style);
}

/** The labels that are drawn: those pointed at and pinned, then those found, then others, none upon another. */
function readable(marks: readonly RulerMark[], emphasised: readonly EmphasisedMark[], style: RulerStyle) {
  const sized = <Mark extends RulerMark>(mark: Mark) => ({ mark, centre: mark.centre, half: halfOf(mark, style) });
  const strong = emphasised.filter((mark) => mark.emphasis !== "found").map(sized);
  const over = new Set(emphasised.map((mark) => mark.index));
  const found = withoutOverlap(emphasised.filter((mark) => mark.emphasis === "found").map(sized), strong);
  const others = withoutOverlap(marks.filter((mark) => !over.has(mark.index)).map(sized), [...strong, ...found]);
  return [
    ...others.map(({ mark }) => ({ mark, emphasis: null })),
    ...[...found, ...strong].map(({ mark }) => ({ mark, emphasis: mark.emphasis })),
  ];
}

/** Half of what a label takes along the ruler: its width where it is level above a column, else its line's height. */
function halfOf(mark: RulerMark, style: RulerStyle): number {
  const level = style.side === "top" && style.turn === 0;
  return level ? style.measure(fitText(mark.text, style.room - GAP, style.measure)) / 2 + 2 : HALF_LINE;
}

/** Where a token is that the search found, even if its label has no room. */
function drawTick(group: Group, centre: number, { side, colours }: RulerStyle): void {
  const at = round(centre);
  const [x, y] = side === "left" ? [-5, at] : [at, -5];
  group.append("line").attr("x1", x).attr("y1", y).attr("x2", side === "left" ? 0 : at).attr("y2", side === "left" ? at : 0).attr("stroke", colours.accent).attr("stroke-width", 2);
}

function drawMark(group: Group, mark: RulerMark, emphasis: Emphasis | null, style: RulerStyle): void {
  const { colours, measure, room } = style;
  const shown = fitText(mark.text, room - GAP, measure);
  const width = measure(shown);
  const label = group.append("g").attr("transform", placed(mark.centre, width, style));
  const strong = emphasis === "focus" || emphasis === "pinned";
  // The plate hides the labels beneath, so that the one pointed at can always be read.
  if (strong) drawPlate(label, width, anchorOf(style), emphasis, colours);
  label
    .append("text")
    .attr("text-anchor", anchorOf(style))
    .attr("dy", "0.35em")
    .attr("fill", emphasis === "pinned" ? colours.background : emphasis === null ? colours.muted : colours.text)
    .attr("font-weight", emphasis === "found" ? "600" : null)
    .attr("text-decoration", emphasis === "found" ? "underline" : null)
    .text(isolated(shown));
}

function drawPlate(label: Group, width: number, anchor: string, emphasis: Emphasis | null, colours: Colours): void {
  const begin = anchor === "end" ? -width : anchor === "middle" ? -width / 2 : 0;
  label
    .append("rect")
    .attr("x", begin - 3)
    .attr("y", -8)
    .attr("width", width + 6)
    .attr("height", 16)
    .attr("rx", 3)
    .attr("fill", emphasis === "pinned" ? colours.accent : colours.surface)
    .attr("stroke", colours.accent);
}

function anchorOf(style: RulerStyle): "start" | "middle" | "end" {
  if (style.side === "left") return "end";
  return style.turn === 0 ? "middle" : "start";
}

function placed(centre: number, width: number, style: RulerStyle): string {
  if (style.side === "left") return `translate(${-GAP},${round(centre)})`;
  if (style.turn !== 0) return `translate(${round(centre)},${-GAP}) rotate(${-style.turn})`;
  // A level label near an edge is pushed inwards instead of being cut.
  const inside = Math.min(Math.max(centre, width / 2), Math.max(width / 2, style.length - width / 2));
  return `translate(${round(inside)},${-GAP - 6})`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

const widths = new Map<string, number>();
let pen: CanvasRenderingContext2D | null = null;

/** Width of a text in the rulers' font; remembered, as the same tokens come again and again. */
export const measureText: Measure = (text) => {
  const known = widths.get(text);
  if (known !== undefined) return known;
  pen ??= document.createElement("canvas").getContext("2d");
  if (pen === null) return text.length * FONT_SIZE * 0.6;
  pen.font = `${FONT_SIZE}px ${FONT_FAMILY}`;
  const width = pen.measureText(text).width;
  if (widths.size > 20_000) widths.clear();
  widths.set(text, width);
  return width;
};

/** A group inside `parent` with the rulers' font. */
export function textGroup(parent: SVGElement): Group {
  return select(parent).append("g").attr("font-family", FONT_FAMILY).attr("font-size", FONT_SIZE);
}
