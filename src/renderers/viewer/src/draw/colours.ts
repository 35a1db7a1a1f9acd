/** Colours of heads, heat maps and text, for light and dark; chosen so that the colour-blind can tell them apart. */

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
