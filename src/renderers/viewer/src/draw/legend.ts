/** Colour scale legends with numbers, as SVG: the same on the page and in an export. */

import type { Colours } from "./colours";
import type { WeightScale } from "../state/selection";
import { heatShare, LOG_DECADES, type HeatRange } from "./heatmap";
import type { Group } from "./rulers-draw";

const BAR_HEIGHT = 10;
const SWATCH = 10;
const SLICES = 64;

export const LEGEND_HEIGHT = 28;

export interface LegendTick {
  /** 0 to 1 along the bar. */
  readonly share: number;
  readonly text: string;
}

/** A swatch after the bar: what a colour or a pattern outside of the scale means. */
export interface LegendNote {
  readonly fill: string;
  readonly hatch: boolean;
  readonly text: string;
}

/** Roughly the width of a digit, and the least distance between two numbers. Pixels. */
const DIGIT = 6;
const APART = 8;

/** Powers of ten need more room than a beginning, a middle and an end. */
export function legendWidth(scale: WeightScale): number {
  return scale === "log" ? 248 : 180;
}

/**
 * Numbers below the bar of `width` pixels: the ends and the middle, or the ends and powers of ten. A power of ten whose
 * number does not fit has a tick without it.
 */
export function heatTicks(range: HeatRange, width: number): LegendTick[] {
  const { scale, max } = range;
  if (scale === "linear") {
    return [0, 0.5, 1].map((share) => ({ share, text: figure(share * max) }));
  }
  const least = Number((max * 10 ** -LOG_DECADES).toPrecision(1));
  const ends: LegendTick[] = [{ share: 0, text: `≤${decimal(least)}` }, { share: 1, text: figure(max) }];
  const highest = Math.ceil(Math.log10(max)) - 1;
  const between = Array.from({ length: LOG_DECADES }, (_, decade) => 10 ** (highest - decade)).map((weight) => ({
    share: heatShare(weight, range),
    text: decimal(weight),
  })).filter(({ share }) => share > 0);
  return between.reduce((shown, tick) => [...shown, fits(tick, shown, width) ? tick : { ...tick, text: "" }], ends);
}

/** Three digits say enough at a colour scale. */
function figure(weight: number): string {
  return weight < 1e-4 && weight > 0 ? weight.toExponential(1) : String(Number(weight.toPrecision(3)));
}

/** Never as 1e-7: powers of ten are written out. */
function decimal(weight: number): string {
  return weight.toFixed(Math.max(0, Math.ceil(-Math.log10(weight) - 1e-9)));
}

function fits(tick: LegendTick, others: readonly LegendTick[], width: number): boolean {
  const [begin, end] = extent(tick, width);
  return others.every((other) => {
    if (other.text === "") return true;
    const [otherBegin, otherEnd] = extent(other, width);
    return begin > otherEnd + APART || end < otherBegin - APART;
  });
}

/** Numbers at the ends stand inside the bar, others around their tick. */
function extent({ share, text }: LegendTick, width: number): [number, number] {
  const wide = text.length * DIGIT;
  const begin = share * width - (share === 0 ? 0 : share === 1 ? wide : wide / 2);
  return [begin, begin + wide];
}

/** Draws the bar from x = 0 to `width` and its ticks; returns the width used with the notes. */
export function drawLegend(
  group: Group,
  width: number,
  ticks: readonly LegendTick[],
  colourAt: (share: number) => string,
  notes: readonly LegendNote[],
  colours: Colours,
): number {
  group.selectAll("*").remove();
  drawBar(group, width, colourAt, colours);
  for (const tick of ticks) {
    const x = tick.share * width;
    const anchor = tick.share === 0 ? "start" : tick.share === 1 ? "end" : "middle";
    group.append("line").attr("x1", x).attr("x2", x).attr("y1", BAR_HEIGHT).attr("y2", BAR_HEIGHT + 3).attr("stroke", colours.muted);
    addText(group, x, BAR_HEIGHT + 13, tick.text, anchor, colours);
  }
  return drawNotes(group, width + 14, 0, notes, colours);
}

/** Swatches with their words from `x` on; returns where they end. */
export function drawNotes(group: Group, x: number, y: number, notes: readonly LegendNote[], colours: Colours): number {
  let next = x;
  for (const note of notes) {
    drawSwatch(group, next, y, note, colours);
    const text = addText(group, next + SWATCH + 5, y + 9, note.text, "start", colours);
    next += SWATCH + 19 + (text.node()?.getComputedTextLength?.() ?? note.text.length * 6);
  }
  return next;
}

/** Thin slices instead of a gradient: a gradient needs an id, which must differ between the viewers of one page. */
function drawBar(group: Group, width: number, colourAt: (share: number) => string, colours: Colours): void {
  const slice = width / SLICES;
  for (let place = 0; place < SLICES; place += 1) {
    group
      .append("rect")
      .attr("x", place * slice)
      .attr("width", slice + 0.5)
      .attr("height", BAR_HEIGHT)
      .attr("fill", colourAt(place / (SLICES - 1)));
  }
  group.append("rect").attr("width", width).attr("height", BAR_HEIGHT).attr("fill", "none").attr("stroke", colours.line);
}

function drawSwatch(group: Group, x: number, y: number, note: LegendNote, colours: Colours): void {
  group.append("rect").attr("x", x).attr("y", y).attr("width", SWATCH).attr("height", SWATCH).attr("fill", note.fill).attr("stroke", colours.line);
  if (!note.hatch) return;
  for (const shift of [0, 5]) {
    group
      .append("line")
      .attr("x1", x + shift)
      .attr("y1", y + SWATCH)
      .attr("x2", x + SWATCH)
      .attr("y2", y + shift)
      .attr("stroke", colours.muted);
  }
}

function addText(group: Group, x: number, y: number, text: string, anchor: string, colours: Colours) {
  return group.append("text").attr("x", x).attr("y", y).attr("text-anchor", anchor).attr("fill", colours.muted).text(text);
}

/** Numbers below a bar of negative and positive colours; what is larger than `limit` has the colour of its end. */
export function divergingTicks(limit: number): LegendTick[] {
  const end = limit >= 1e5 ? limit.toExponential(0) : String(Number(limit.toPrecision(2)));
  return [
    { share: 0, text: `≤ −${end}` },
    { share: 0.5, text: "0" },
    { share: 1, text: `≥ ${end}` },
  ];
}
