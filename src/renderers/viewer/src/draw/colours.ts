/** Colours of heads, heat maps and text, for light and dark; chosen so that the colour-blind can tell them apart. */

import { hcl, rgb } from "d3-color";
import { interpolateLab, piecewise } from "d3-interpolate";

export interface Colours {
  readonly dark: boolean;
  readonly background: string;
  readonly surface: string;
  readonly text: string;
  readonly muted: string;
  readonly line: string;
  readonly accent: string;
  /** The colour of a head by its place in the layer; never repeats within `total` heads. */
  head(place: number, total: number): string;
  /** A sequential, perceptually even colour for 0 to 1 as CSS; 0 is the background, so that nothing looks like nothing. */
  heat(share: number): string;
  /** The same as 256 RGBA quadruples, for pixels. */
  readonly heatTable: Uint8ClampedArray;
  /** Negative, zero, positive for -1 to 1 (vectors of the neuron view). */
  diverging(value: number): string;
  /** Missing or not-a-number. */
  readonly missing: string;
}

interface Palette {
  readonly dark: boolean;
  readonly background: string;
  readonly surface: string;
  readonly text: string;
  readonly muted: string;
  readonly line: string;
  readonly accent: string;
  /** Lightness (CIE L) of the heads' colours, taken in turn so that neighbours differ in more than hue. */
  readonly headLightness: readonly number[];
  /** From the background on, even steps of lightness. */
  readonly heat: readonly string[];
  readonly diverging: readonly string[];
  readonly missing: string;
}

const LIGHT: Palette = {
  dark: false,
  background: "#ffffff",
  surface: "#f6f7f9",
  text: "#1b1f24",
  muted: "#59636e",
  line: "#d5dae0",
  accent: "#3450b8",
  headLightness: [38, 54, 46],
  heat: ["#ffffff", "#c9daf3", "#8fa9e0", "#5f71c4", "#43409d", "#231a57"],
  diverging: ["#b4510b", "#f0b07c", "#ffffff", "#86b4e3", "#1f5ea8"],
  missing: "#b7a68c",
};

const DARK: Palette = {
  dark: true,
  background: "#14161a",
  surface: "#1c1f25",
  text: "#e8eaed",
  muted: "#a2aab5",
  line: "#343a43",
  accent: "#8fa8ff",
  headLightness: [78, 62, 70],
  heat: ["#14161a", "#2c2b63", "#5f3a94", "#a5519b", "#e5818a", "#fbd6a2"],
  diverging: ["#f2a25c", "#7d5432", "#14161a", "#32597f", "#74b4f5"],
  missing: "#7a6f5e",
};

const GOLDEN_ANGLE = 137.508;
const FIRST_HUE = 265;
const CHROMA = 58;

export function coloursFor(dark: boolean): Colours {
  const palette = dark ? DARK : LIGHT;
  const heat = piecewise(interpolateLab, [...palette.heat]);
  const diverging = piecewise(interpolateLab, [...palette.diverging]);
  const { headLightness, heat: _heat, diverging: _diverging, ...plain } = palette;
  return {
    ...plain,
    head: (place, total) => headColour(place, total, headLightness),
    heat: (share) => heat(clamped(share, 0, 1)),
    heatTable: table(heat),
    diverging: (value) => diverging((clamped(value, -1, 1) + 1) / 2),
  };
}

/** Hues in even steps over all heads, so none repeats; for very many, the golden angle keeps neighbours apart. */
function headColour(place: number, total: number, lightness: readonly number[]): string {
  const step = total <= 16 ? 360 / Math.max(1, total) : GOLDEN_ANGLE;
  const level = lightness[place % lightness.length] ?? 50;
  return hcl(FIRST_HUE + place * step, CHROMA, level).formatHex();
}

function table(colour: (share: number) => string): Uint8ClampedArray {
  const bytes = new Uint8ClampedArray(4 * 256);
  for (let place = 0; place < 256; place += 1) {
    const { r, g, b } = rgb(colour(place / 255));
    bytes.set([r, g, b, 255], 4 * place);
  }
  return bytes;
}

function clamped(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, Number.isNaN(value) ? least : value));
}
