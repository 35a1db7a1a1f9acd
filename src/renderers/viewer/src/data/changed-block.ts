/**
 * Blocks of weights that a source does not have as they are to be shown: means of several heads, and rows with some keys
 * taken out.
 *
 * Both need every single weight, and are pooled last: the largest of means is not the mean of the largest. So they are
 * read some rows at a time, and never held as a whole.
 */

import { emptyBounded, emptyCells, lengthOf, poolBounded, poolRows, shapeOf, type Bounded } from "../source/pool";
import { SourceError, type Range, type Tile, type TileRequest, type TileSource } from "../source/source";
import { discounted } from "./discount";
import { grouped } from "./format";
import { MeanOfWeights } from "./mean-of-weights";

/** Weights of one head that are read at once; the same as what Python computes at once. */
const READ_WEIGHTS = 1 << 20;
/** Heads that are read at the same time. */
const READ_TOGETHER = 8;
/** Every weight of one head at 16,384 tokens: a gigabyte, and some seconds. */
const MOST_WEIGHTS = 2 ** 28;

export interface ChangedBlock extends Omit<TileRequest, "layer" | "head"> {
  /** The mean is over these. */
  readonly parts: readonly { readonly layer: number; readonly head: number }[];
  /** Keys whose weights are taken out of each row. */
  readonly without: readonly number[];
  /** How many keys a whole row has. */
  readonly allKeys: number;
}

/** Rejects with a SourceError when more weights are needed than can be read in reasonable time. */
export async function changedBlock(source: TileSource, block: ChangedBlock): Promise<Tile> {
  const shape = shapeOf(block.queries, block.keys, block.maxRows, block.maxColumns);
  const columns = block.without.length > 0 ? { start: 0, stop: block.allKeys } : block.keys;
  refuseTooMany(block, columns);
  const cells = emptyCells(shape);
  let bounded: Bounded | null = null;
  const rows = Math.max(1, Math.floor(READ_WEIGHTS / lengthOf(columns)));
  for (let start = block.queries.start; start < block.queries.stop; start += rows) {
    const queries = { start, stop: Math.min(block.queries.stop, start + rows) };
    const mean = await meanOfRows(source, block, queries, columns);
    const row = start - block.queries.start;
    if (mean.most === mean.values) poolRows(mean.values, row, shape, cells);
    else poolBounded(mean, row, shape, (bounded ??= emptyBounded(shape)));
  }
  return { ...shape, ...(bounded === null ? { values: cells } : heldInFull(bounded)) };
}

/** Without bounds where each is the value itself. */
function heldInFull({ values, most }: Bounded): Pick<Tile, "values" | "most"> {
  const same = values.every((value, cell) => value === most[cell] || (value !== value && most[cell] !== most[cell]));
  return same ? { values } : { values, most };
}

/** (queries, keys) at full resolution; both arrays are one where the source holds every weight. */
async function meanOfRows(source: TileSource, block: ChangedBlock, queries: Range, columns: Range): Promise<Bounded> {
  const { parts, keys } = block;
  const [first] = parts;
  if (first !== undefined && parts.length === 1) return onlyKeys(await changedRows(source, block, first, queries, columns), columns, keys);
  const sum = new MeanOfWeights(lengthOf(queries) * lengthOf(keys), parts.length);
  for (let from = 0; from < parts.length; from += READ_TOGETHER) {
    const together = parts.slice(from, from + READ_TOGETHER);
    const changed = await Promise.all(together.map((part) => changedRows(source, block, part, queries, columns)));
    for (const rows of changed) sum.add(rows, columns, keys);
  }
  return sum.mean();
}

type Rows = Pick<Tile, "values" | "most">;

/** One head's rows over `columns`, with keys taken out. */
async function changedRows(source: TileSource, block: ChangedBlock, part: ChangedBlock["parts"][number], queries: Range, columns: Range): Promise<Rows> {
  const { item, without, allKeys } = block;
  const tile = await source.tile({ ...part, item, queries, keys: columns, maxRows: lengthOf(queries), maxColumns: lengthOf(columns) });
  return without.length > 0 ? discounted(tile, allKeys, without) : tile;
}

/** Of rows over `columns`, the columns `keys`; the same rows where these are all of them. */
function onlyKeys({ values, most = values }: Rows, columns: Range, keys: Range): Bounded {
  const [given, width] = [lengthOf(columns), lengthOf(keys)];
  if (given === width) return { values, most };
  const cut = (cells: Float32Array): Float32Array => {
    const rows = cells.length / given;
    const part = new Float32Array(rows * width);
    for (let row = 0; row < rows; row += 1) {
      const start = row * given + keys.start - columns.start;
      part.set(cells.subarray(start, start + width), row * width);
    }
    return part;
  };
  const part = cut(values);
  return { values: part, most: most === values ? part : cut(most) };
}

function refuseTooMany({ parts, queries, without }: ChangedBlock, columns: Range): void {
  const needed = parts.length * lengthOf(queries) * lengthOf(columns);
  if (needed <= MOST_WEIGHTS) return;
  const what = parts.length > 1 ? `the mean of ${parts.length} heads` : "taking tokens out of the sums";
  const fewer = without.length > 0 ? "show all tokens again" : "average fewer heads or layers";
  const [rows, keys] = [lengthOf(queries), lengthOf(columns)].map(grouped);
  throw new SourceError(
    `${what} would need ${grouped(Math.round(needed / 1e6))} million weights for ${rows} × ${keys} tokens, ` +
      `and the page reads at most ${Math.round(MOST_WEIGHTS / 1e6)} million; zoom in, or ${fewer}`,
  );
}
