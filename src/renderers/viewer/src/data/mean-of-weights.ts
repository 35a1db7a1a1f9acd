/** The mean of several blocks, of which some weights may not be held. */

import { lengthOf, type Bounded } from "../source/pool";
import type { Range } from "../source/source";
import { isLeftOut } from "./weights";

interface Bounds {
  readonly most: Float32Array;
  readonly held: Uint16Array;
}

export class MeanOfWeights {
  private readonly values: Float32Array;
  private added = 0;
  /** Only where some weight was not held: what the mean is at most, and how many of the blocks hold each cell. */
  private bounds: Bounds | null = null;

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
      const from = row * given + shift;
      if (this.bounds === null) this.addHeld(row * width, values, from, width);
      else this.addBounded(row * width, values, most ?? values, from, width, this.bounds);
    }
    this.added += 1;
  }

  private addHeld(cell: number, values: Float32Array, from: number, width: number): void {
    const { values: sums, parts } = this;
    for (let key = 0; key < width; key += 1) sums[cell + key]! += values[from + key]! / parts;
  }

  private addBounded(cell: number, values: Float32Array, bounds: Float32Array, from: number, width: number, { most, held }: Bounds): void {
    const { values: sums, parts } = this;
    for (let key = 0; key < width; key += 1) {
      const value = values[from + key]!;
      const bound = bounds[from + key]!;
      most[cell + key]! += bound / parts;
      if (isLeftOut(value, bound)) continue;
      sums[cell + key]! += value / parts;
      held[cell + key]! += 1;
    }
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
