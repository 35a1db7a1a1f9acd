/** What a kernel and a server answer, and how it becomes tiles and vectors: the same for both. */

import { SourceError, type Range, type Tile, type TileRequest, type TileSource, type VectorRequest, type Vectors } from "./source";
import type { TraceInfo } from "./trace-info";

export interface Answer {
  readonly meta: Readonly<Record<string, unknown>>;
  readonly numbers: Float32Array;
}

/** Carries a question to Python and brings the answer back. */
export type Ask = (question: Readonly<Record<string, unknown>>) => Promise<Answer>;

export class AskedSource implements TileSource {
  constructor(
    readonly trace: TraceInfo,
    private readonly ask: Ask,
  ) {}

  async tile(request: TileRequest): Promise<Tile> {
    const { maxRows, maxColumns } = request;
    const { meta, numbers } = checked(await this.ask({ ...question("tile", request), maxRows, maxColumns }));
    const rows = Number(meta["rows"]);
    const columns = Number(meta["columns"]);
    checkLength(numbers, rows * columns);
    return {
      queries: rangeOf(meta["queries"]),
      keys: rangeOf(meta["keys"]),
      rows,
      columns,
      rowStep: Number(meta["rowStep"]),
      columnStep: Number(meta["columnStep"]),
      values: numbers,
    };
  }

  async vectors(request: VectorRequest): Promise<Vectors> {
    const { meta, numbers } = checked(await this.ask(question("vectors", request)));
    const queries = rangeOf(meta["queries"]);
    const keys = rangeOf(meta["keys"]);
    const headDim = Number(meta["headDim"]);
    const rows = queries.stop - queries.start;
    const columns = keys.stop - keys.start;
    const pairs = [meta["bias"], meta["allowed"]].filter((held) => held === true).length;
    checkLength(numbers, (rows + columns) * headDim + pairs * rows * columns);
    let offset = 0;
    const take = (count: number): Float32Array => numbers.slice(offset, (offset += count));
    const query = take(rows * headDim);
    const key = take(columns * headDim);
    const bias = meta["bias"] === true ? take(rows * columns) : null;
    const allowed = meta["allowed"] === true ? Uint8Array.from(take(rows * columns)) : null;
    return { queries, keys, headDim, query, key, bias, allowed };
  }
}

function question(ask: string, request: TileRequest | VectorRequest): Record<string, unknown> {
  const { layer, head, item, queries, keys } = request;
  return { ask, layer, head, item, queries: [queries.start, queries.stop], keys: [keys.start, keys.stop] };
}

/** The answer, unless it says why there is none. */
export function checked(answer: Answer): Answer {
  const error = answer.meta["error"];
  if (typeof error === "string") throw new SourceError(error);
  return answer;
}

/** A buffer that was cut short on its way must not look like weights of 0. */
function checkLength(numbers: Float32Array, expected: number): void {
  if (numbers.length === expected) return;
  throw new SourceError(
    `an answer of ${expected} numbers was expected and ${numbers.length} came; reload the page, or run the cell again`,
  );
}

function rangeOf(value: unknown): Range {
  const [start, stop] = Array.isArray(value) ? value : [NaN, NaN];
  return { start: Number(start), stop: Number(stop) };
}
