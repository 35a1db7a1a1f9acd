/** The columns of the neuron view: which steps there are from q·k to the weight, and how wide everything is. */

import type { ScoringInfo } from "../source/trace-info";
import type { NeuronData } from "./neuron-data";
import { shortNumber } from "./neuron-verdict";

/** One step of the arithmetic, with a number for each key. */
export interface Step {
  readonly name: "dot" | "scaled" | "capped" | "score";
  readonly title: string;
  readonly explanation: string;
  values(data: NeuronData): Float64Array;
}

/** What a layer adds to its scores: nothing, nothing but zeros, something, or something that the source does not hold. */
export type BiasUse = "none" | "zero" | "added" | "missing";

/** Only steps that change a number: two columns of the same numbers would say nothing. */
export function stepsOf(scoring: ScoringInfo | null, bias: BiasUse): Step[] {
  const steps: Step[] = [
    { name: "dot", title: "q · k", explanation: "The sum of the products: how well query and key match", values: (data) => data.row.dots },
  ];
  if (scoring !== null && scoring.scale !== 1) {
    const title = `× ${shortNumber3(scoring.scale)}`;
    steps.push({ name: "scaled", title, explanation: "Times the scale of the scores", values: (data) => data.row.scaled });
  }
  if (scoring !== null && scoring.softcap !== null) {
    const cap = shortNumber3(scoring.softcap);
    steps.push({ name: "capped", title: `cap ${cap}`, explanation: `Kept within ±${cap}: ${cap} × tanh(score ÷ ${cap})`, values: (data) => data.row.capped });
  }
  if (bias === "added") {
    steps.push({ name: "score", title: "+ bias", explanation: "Plus what the model adds to the score of this query and key", values: (data) => data.row.scores });
  }
  return steps;
}

/** Three significant digits. */
export function shortNumber3(value: number): string {
  return Math.abs(value) < 1e-4 && value !== 0 ? shortNumber(value) : String(Number(value.toPrecision(3)));
}

/** The formula with this layer's numbers. */
export function formulaOf(scoring: ScoringInfo | null, bias: BiasUse): string {
  if (scoring === null) return "weight = softmax( q·k )";
  const { scale, softcap, sinks } = scoring;
  const scaled = scale === 1 ? "q·k" : `${shortNumber3(scale)} × q·k`;
  const capped = softcap === null ? scaled : `${shortNumber3(softcap)} × tanh( ${scaled} ÷ ${shortNumber3(softcap)} )`;
  const biased = `${capped}${{ none: "", zero: "", added: " + bias", missing: " + bias (not held)" }[bias]}`;
  return `weight = softmax( ${biased}${sinks === null ? "" : " ; sink"} )`;
}

/** Pixels of each column. */
export interface ColumnWidths {
  readonly label: number;
  readonly strip: number;
  readonly step: number;
  readonly weight: number;
}

const WIDEST_STEP = 136;
const NARROWEST_STEP = 64;
const GAP = 14;
const NARROWEST_STRIP = 64;
const WIDEST_STRIP = 420;
const WIDEST_WEIGHT = 320;

/** Strips take the room that is left; where they can, every number has a whole number of pixels. */
export function columnWidths(width: number, headDim: number, steps: number): ColumnWidths {
  const label = Math.round(Math.min(150, Math.max(72, width * 0.13)));
  const least = Math.round(Math.min(200, Math.max(110, width * 0.16)));
  const free = width - label - least - 2 * NARROWEST_STRIP - (steps + 3) * GAP;
  const step = Math.floor(Math.min(WIDEST_STEP, Math.max(NARROWEST_STEP, free / steps)));
  const rest = width - label - steps * step - (steps + 3) * GAP;
  const room = Math.floor(Math.min(WIDEST_STRIP, Math.max(NARROWEST_STRIP, (rest - least) / 2)));
  const whole = Math.floor(room / headDim) * headDim;
  const strip = whole >= NARROWEST_STRIP ? whole : room;
  return { label, strip, step, weight: Math.min(WIDEST_WEIGHT, Math.max(least, rest - 2 * strip)) };
}

/** As a value of `grid-template-columns`. */
export function gridTemplate(widths: ColumnWidths, steps: number): string {
  const pixels = [widths.label, widths.strip, widths.strip, ...Array<number>(steps).fill(widths.step), widths.weight];
  return pixels.map((size) => `${size}px`).join(" ");
}

/** Where each column begins, from the left. */
export function columnStarts(widths: ColumnWidths, steps: number): { k: number; product: number; steps: number[]; weight: number; width: number } {
  const k = widths.label + GAP;
  const product = k + widths.strip + GAP;
  const first = product + widths.strip + GAP;
  const places = Array.from({ length: steps }, (_, step) => first + step * (widths.step + GAP));
  const weight = first + steps * (widths.step + GAP);
  return { k, product, steps: places, weight, width: weight + widths.weight };
}

/** A number with a sign that is as wide as a digit. */
export function signed(value: number, decimals = 3): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  // Of large numbers the last decimals say little and take the room of the bars.
  const text = size >= 1e6 ? value.toExponential(2) : value.toFixed(size >= 1000 ? Math.min(1, decimals) : decimals);
  return text.replaceAll("-", "−");
}
