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
  /** The mean over several heads: ink, the colour of none of them. */
  readonly mean: string;
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
  readonly mean: string;
  /**
   * The first heads' colours. They were searched for so that, whatever their number, any two of them are as far apart
   * as possible with normal sight, with deuteranopia and with protanopia alike: the test says how far.
   */
  readonly heads: readonly string[];
  /** Lightness (CIE L) of more heads' colours than that, taken in turn so that neighbours differ in more than hue. */
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
  mean: "#1b1f24",
  heads: [
    "#0078f0", "#789600", "#780f4b", "#4b7896", "#3c2d96", "#d2785a", "#3c9687", "#785a0f", "#004b1e", "#c32d5a", "#2d96e1", "#3c4b87",
  ],
  headLightness: [30, 57, 44],
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
  mean: "#f2f3f5",
  heads: [
    "#0087ff", "#ffd24b", "#96e1c3", "#a5874b", "#69b4ff", "#969600", "#f0d2ff", "#d25ac3", "#d287b4", "#699678", "#c3e178", "#4bd287",
  ],
  headLightness: [86, 60, 73],
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
  const { heads, headLightness, heat: _heat, diverging: _diverging, ...plain } = palette;
  return {
    ...plain,
    head: (place, total) => (total <= heads.length ? heads[place] : undefined) ?? headColour(place, total, headLightness),
    heat: (share) => heat(clamped(share, 0, 1)),
    heatTable: table(heat),
    diverging: (value) => diverging((clamped(value, -1, 1) + 1) / 2),
  };
}

/** The colour of a line of weights: a head's own, or ink where it is the mean of several. */
export function seriesColour(colours: Colours, series: { readonly colour: number; readonly heads: readonly number[] }, total: number): string {
  return series.heads.length > 1 ? colours.mean : colours.head(series.colour, total);
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
