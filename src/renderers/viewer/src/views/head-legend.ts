/** Sample lines with their weights: what width and opacity mean in the picture above. */

import { create } from "d3-selection";
import { faintest, levelOf, opacity, strength, type LineStyle, type StrengthScale } from "../draw/lines";
import { linePath } from "../draw/lines-svg";
import type { Colours } from "../draw/colours";

const SAMPLE = 34;
const HEIGHT = 16;

export interface LegendSample {
  readonly weight: number;
  readonly level: number;
}

/** Samples weaker than this cannot be seen by themselves. */
const SEEN = 0.08;
const MOST_SAMPLES = 4;

/** What a legend explains: a single token's strongest lines are drawn although all of them are below the threshold. */
export function legendScale(scale: StrengthScale, single: boolean): StrengthScale {
  if (scale.top >= scale.threshold) return scale;
  return single ? { ...scale, threshold: 0 } : { ...scale, top: 0 };
}

/** The strongest weight, and round weaker ones that are still drawn and can be seen. */
export function legendSamples(scale: StrengthScale): LegendSample[] {
  const { top } = scale;
  if (!(top > 0)) return [];
  const least = Math.max(faintest(scale), scale.scale === "linear" ? SEEN * top : 0);
  const weights = [top, ...roundBelow(0.75 * top, scale.scale === "linear" ? [5, 2, 1] : [1]).filter((weight) => weight >= least)];
  return weights.slice(0, MOST_SAMPLES).map((weight) => ({ weight, level: levelOf(strength(weight, scale)) }));
}

/** 0.5, 0.2, 0.1, 0.05, … as far as they are not above `most`. */
function roundBelow(most: number, digits: readonly number[]): number[] {
  const power = Math.floor(Math.log10(most));
  const decades = [power, power - 1, power - 2, power - 3];
  return decades.flatMap((decade) => digits.map((digit) => Number(`${digit}e${decade}`))).filter((weight) => weight <= most * (1 + 1e-9));
}

/** A sample as text: round figures need no more digits than they have. */
export function sampleText(weight: number, top: number, format: (weight: number) => string): string {
  return weight === top ? format(weight) : weight.toFixed(Math.max(0, -Math.floor(Math.log10(weight) + 1e-9)));
}

/** One line as an SVG element of its own size. */
export function sampleLine(level: number, style: LineStyle, colours: Colours): SVGSVGElement {
  const svg = create("svg:svg").attr("width", SAMPLE).attr("height", HEIGHT).attr("aria-hidden", "true");
  svg
    .append("path")
    .attr("d", linePath({ x0: 1, y0: HEIGHT / 2, x1: SAMPLE - 1, y1: HEIGHT / 2 }, level, style))
    .attr("fill", colours.text)
    .attr("fill-opacity", opacity(level, style));
  return svg.node() as SVGSVGElement;
}

export function fillLegend(host: HTMLElement, scale: StrengthScale, style: LineStyle, colours: Colours, format: (weight: number) => string): void {
  host.replaceChildren();
  if (scale.top <= 0) return;
  for (const { weight, level } of legendSamples(scale)) {
    const text = document.createElement("span");
    text.className = "attn-number";
    text.textContent = sampleText(weight, scale.top, format);
    host.append(sampleLine(level, style, colours), text);
  }
}
