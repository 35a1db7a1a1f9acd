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

/** The strongest weight and weaker ones that are still drawn. */
export function legendSamples(scale: StrengthScale): LegendSample[] {
  const factors = scale.scale === "linear" ? [1, 0.5, 0.2, 0.05] : [1, 0.1, 0.01, 0.001];
  const least = faintest(scale);
  return factors
    .map((factor) => factor * scale.top)
    .filter((weight) => weight >= least)
    .map((weight) => ({ weight, level: levelOf(strength(weight, scale)) }));
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
    // Samples are rounded figures, not weights of the trace: two digits are enough for them.
    text.textContent = weight === scale.top ? format(weight) : String(Number(weight.toPrecision(2)));
    host.append(sampleLine(level, style, colours), text);
  }
}
