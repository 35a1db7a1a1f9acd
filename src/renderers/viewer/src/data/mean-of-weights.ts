/** The mean of several blocks, of which some weights may not be held. */

import { lengthOf, type Bounded } from "../source/pool";
import type { Range } from "../source/source";
import { isLeftOut } from "./weights";

export class MeanOfWeights {
  private readonly values: Float32Array;
  private added = 0;
  /** Only where some weight was not held: what the mean is at most, and how many of the blocks hold each cell. */
  private bounds: { readonly most: Float32Array; readonly held: Uint16Array } | null = null;

  constructor(
    length: number,
    private readonly parts: number,
  ) {
    this.values = new Float32Array(length);
  }

  /** Adds the columns `keys` of a block (rows over `columns`). */
  add({ values, most }: { readonly values: Float32Array; readonly most?: Float32Array | undefined }, columns: Range, keys: Range): void {
    // What was added before was held, so until now it is at most what it is.
    if (most !== undefined) this.bounds ??= { most: this.values.slice(), held: new Uint16Array(this.values.length).fill(this.added) };
    const width = lengthOf(keys);
    const given = lengthOf(columns);
    const shift = keys.start - columns.start;
    for (let row = 0; row * given < values.length; row += 1) {
      for (let key = 0; key < width; key += 1) {
        const from = row * given + shift + key;
        if (this.bounds === null) this.values[row * width + key]! += values[from]! / this.parts;
        else this.addBounded(row * width + key, values[from]!, (most ?? values)[from]!, this.bounds);
      }
    }
    this.added += 1;
  }

  private addBounded(cell: number, value: number, bound: number, { most, held }: NonNullable<MeanOfWeights["bounds"]>): void {
    most[cell]! += bound / this.parts;
    if (isLeftOut(value, bound)) return;
    this.values[cell]! += value / this.parts;
    held[cell]! += 1;
  }

  /** Both arrays are one where everything is held. */
  mean(): Bounded {
    const { values, bounds, parts } = this;
    if (bounds === null) return { values, most: values };
    const { most, held } = bounds;
    for (let cell = 0; cell < values.length; cell += 1) {
      if (held[cell] === 0) values[cell] = Number.NaN;
      // Two sums of the same numbers; rounding must not make them look otherwise.
      else if (held[cell] === parts && Math.abs(most[cell]! - values[cell]!) < 1e-7) most[cell] = values[cell]!;
    }
    return { values, most };
  }
}
