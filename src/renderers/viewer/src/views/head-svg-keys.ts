/** What the colours and strengths of an exported picture mean: the same as the controls and the legend on the page. */

import { opacity, type LineStyle } from "../draw/lines";
import { linePath } from "../draw/lines-svg";
import type { Colours } from "../draw/colours";
import type { LegendSample } from "./head-legend";
import type { Group } from "./head-svg";

export interface PictureKeys {
  readonly heads: readonly { readonly label: string; readonly colour: string }[];
  readonly samples: readonly (LegendSample & { readonly text: string })[];
  readonly style: LineStyle;
}

const LINE = 20;
const SWATCH = 10;
const SAMPLE = 34;
const GAP = 14;
/** Roughly the width of a character of 11 pixels. */
const CHARACTER = 6.2;

interface Placed {
  readonly x: number;
  readonly line: number;
}

/** Entries side by side, on as many lines as it takes. */
export function placed(widths: readonly number[], room: number): Placed[] {
  let [x, line] = [0, 0];
  return widths.map((width) => {
    if (x > 0 && x + width > room) [x, line] = [0, line + 1];
    const place = { x, line };
    x += width + GAP;
    return place;
  });
}

function headWidths({ heads }: PictureKeys): number[] {
  return heads.map(({ label }) => SWATCH + 5 + label.length * CHARACTER);
}

export function keysHeight(keys: PictureKeys, room: number): number {
  const heads = placed(headWidths(keys), room);
  return ((heads.at(-1)?.line ?? -1) + 1 + (keys.samples.length > 0 ? 1 : 0)) * LINE + 6;
}

/** The heads' colours, and below them sample lines with their weights. */
export function drawKeys(group: Group, keys: PictureKeys, room: number, colours: Colours): void {
  group.attr("font-size", 11);
  const places = placed(headWidths(keys), room);
  keys.heads.forEach(({ label, colour }, place) => {
    const { x, line } = places[place]!;
    group.append("rect").attr("x", x).attr("y", line * LINE + 3).attr("width", SWATCH).attr("height", SWATCH).attr("rx", 2).attr("fill", colour);
    group.append("text").attr("x", x + SWATCH + 5).attr("y", line * LINE + 12).attr("fill", colours.text).text(label);
  });
  const y = ((places.at(-1)?.line ?? -1) + 1) * LINE + 8;
  const sampleWidths = keys.samples.map(({ text }) => SAMPLE + 6 + text.length * CHARACTER);
  placed(sampleWidths, room).forEach(({ x }, place) => {
    const { level, text } = keys.samples[place]!;
    const path = linePath({ x0: x, y0: y, x1: x + SAMPLE, y1: y }, level, keys.style);
    group.append("path").attr("d", path).attr("fill", colours.text).attr("fill-opacity", opacity(level, keys.style).toFixed(3));
    group.append("text").attr("x", x + SAMPLE + 6).attr("y", y + 4).attr("fill", colours.muted).text(text);
  });
}
