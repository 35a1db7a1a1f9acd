/** One key's row in the neuron view: its vector, the products with the query, and each number up to the weight. */

import { drawStrip } from "../draw/heatmap-diverging";
import type { Colours } from "../draw/colours";
import { shortened } from "../data/tokens";
import { element, setAttributes } from "../shell/dom";
import { products } from "./neuron-arithmetic";
import { signed, type Step } from "./neuron-columns";
import { isMasked, keyVector, type NeuronData } from "./neuron-data";

export interface NumberParts {
  readonly element: HTMLElement;
  readonly bar: HTMLElement;
  readonly text: HTMLElement;
}

export interface KeyRowParts {
  readonly element: HTMLElement;
  readonly number: HTMLElement;
  readonly token: HTMLElement;
  readonly vector: HTMLCanvasElement;
  readonly product: HTMLCanvasElement;
  readonly steps: readonly NumberParts[];
  readonly weight: NumberParts;
}

/** What all rows share while one query is shown. */
export interface RowStyle {
  readonly data: NeuronData;
  readonly steps: readonly Step[];
  /** From where to where the bars of each step reach. */
  readonly spans: readonly Span[];
  /** The order in which dimensions are drawn. */
  readonly dimensions: readonly number[];
  readonly colours: Colours;
  readonly palette: Uint32Array;
  readonly weightColour: string;
  format(weight: number): string;
}

export function createKeyRow(steps: number): KeyRowParts {
  const number = element("span", { class: "attn-number attn-muted" });
  const token = element("bdi", { class: "attn-token" });
  const label = element("div", { class: "attn-neuron-key", role: "rowheader" }, number, token);
  const [vector, product] = [createStrip(), createStrip()];
  const numbers = Array.from({ length: steps }, () => createNumber("attn-neuron-signed"));
  const weight = createNumber("attn-neuron-weight");
  const strips = [vector, product].map((canvas) => element("div", { class: "attn-neuron-strip", role: "gridcell" }, canvas));
  const row = element("div", { class: "attn-neuron-row", role: "row" }, label, ...strips, ...numbers.map((part) => part.element), weight.element);
  return { element: row, number, token, vector, product, steps: numbers, weight };
}

export function createStrip(): HTMLCanvasElement {
  return element("canvas", { width: 1, height: 1, role: "img" });
}

function createNumber(kind: string): NumberParts {
  const bar = element("span", { class: "attn-neuron-fill" });
  const text = element("span", { class: "attn-number" });
  const track = element("span", { class: "attn-neuron-track", "aria-hidden": "true" }, bar);
  return { element: element("div", { class: kind, role: "gridcell" }, track, text), bar, text };
}

/** Fills a row's elements for one key; `label` is the key's token. */
export function fillKeyRow(parts: KeyRowParts, key: number, label: string, style: RowStyle): void {
  const { data, dimensions, palette } = style;
  const masked = isMasked(data, key);
  const vector = keyVector(data, key);
  parts.number.textContent = String(key);
  parts.token.textContent = shortened(label, 60);
  setAttributes(parts.element, { "data-masked": masked });
  setAttributes(parts.token, { title: label.length > 12 ? label.slice(0, 500) : null });
  drawStrip(parts.vector, vector, dimensions, data.vectorLimit, palette);
  drawStrip(parts.product, products(data.queryVector, vector), dimensions, data.productLimit, palette);
  parts.vector.setAttribute("aria-label", `key vector of ${label.slice(0, 60)}`);
  parts.product.setAttribute("aria-label", `query times key ${label.slice(0, 60)}, element by element`);
  parts.steps.forEach((part, place) => {
    const step = style.steps[place];
    const value = step?.values(data)[key] ?? 0;
    const hidden = masked && step?.name === "score";
    fillSigned(part, hidden ? 0 : value, style.spans[place] ?? NO_SPAN, style.colours);
    part.text.textContent = hidden ? "−∞" : signed(value);
  });
  fillWeight(parts.weight, masked ? "masked" : style.format(data.row.weights[key] ?? 0), data.row.weights[key] ?? 0, style.weightColour);
}

/** A bar from where 0 is, to the right for positive numbers and to the left for negative ones. */
function fillSigned(part: NumberParts, value: number, span: Span, colours: Colours): void {
  const { begin, length, zero } = barIn(value, span);
  part.bar.style.width = `${length * 100}%`;
  part.bar.style.left = `${begin * 100}%`;
  part.bar.parentElement?.style.setProperty("--attn-zero", `${zero * 100}%`);
  part.bar.style.background = colours.diverging(value < 0 ? -0.75 : 0.75);
}

export function fillWeight(part: NumberParts, text: string, weight: number, colour: string): void {
  part.bar.style.width = `${Math.min(1, Math.max(0, weight || 0)) * 100}%`;
  part.bar.style.background = colour;
  part.text.textContent = text;
}

/** What the track of a step's bars stands for: never above 0 at its left, nor below 0 at its right. */
export interface Span {
  readonly low: number;
  readonly high: number;
}

const NO_SPAN: Span = { low: 0, high: 1 };

/** The finite numbers of a step, of the keys that are listed. Numbers of one sign have the whole track. */
export function spanOf(values: Float64Array, keys: readonly number[]): Span {
  let [low, high] = [0, 0];
  for (const key of keys) {
    const value = values[key] ?? 0;
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low === high ? NO_SPAN : { low, high };
}

/** Where a number's bar begins, how long it is, and where 0 is: shares of the track. */
export function barIn(value: number, { low, high }: Span): { begin: number; length: number; zero: number } {
  const zero = (0 - low) / (high - low);
  if (!Number.isFinite(value)) return { begin: zero, length: 0, zero };
  const end = Math.min(1, Math.max(0, (value - low) / (high - low)));
  return { begin: Math.min(zero, end), length: Math.abs(end - zero), zero };
}
