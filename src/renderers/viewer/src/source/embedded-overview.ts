/** A pooled map of every head of a layer, made before anything was left out of its weights. */

import type { OverviewBlock } from "./blocks";
import { float16, log8 } from "./decode";
import { lengthOf, pooled, stepFor } from "./pool";
import type { Range, Tile, TileRequest } from "./source";
import type { LayerInfo } from "./trace-info";

export class Overview {
  private readonly values: Float32Array;
  private readonly rows: number;
  private readonly columns: number;

  constructor(
    bytes: Uint8Array,
    private readonly block: OverviewBlock,
    private readonly layer: LayerInfo,
  ) {
    this.values = block.encoding === "log8" ? log8(bytes) : float16(bytes);
    this.rows = Math.ceil(layer.queries / block.row_step);
    this.columns = Math.ceil(layer.keys / block.column_step);
  }

  /** Cells of the overview, pooled further; a cell may stand for more positions than asked, as they are not cut. */
  tile(request: TileRequest): Tile {
    const { row_step: rowStep, column_step: columnStep } = this.block;
    const rows = cellsOf(request.queries, rowStep);
    const columns = cellsOf(request.keys, columnStep);
    const head = (request.item * this.layer.heads.length + request.head) * this.rows;
    const values = new Float32Array(lengthOf(rows) * lengthOf(columns));
    for (let row = rows.start; row < rows.stop; row += 1) {
      const start = (head + row) * this.columns;
      const part = this.values.subarray(start + columns.start, start + columns.stop);
      values.set(part, (row - rows.start) * lengthOf(columns));
    }
    const small = pooled(values, rows, columns, request.maxRows, request.maxColumns);
    const steps = { rowStep: small.rowStep * rowStep, columnStep: small.columnStep * columnStep };
    return { ...small, ...steps, queries: request.queries, keys: request.keys };
  }
}

/** Whether an overview has all that a request asks for: ranges of whole cells, at its resolution or a coarser one. */
export function overviewAnswers(request: TileRequest, block: OverviewBlock, layer: LayerInfo): boolean {
  return (
    isWhole(request.queries, block.row_step, layer.queries) &&
    isWhole(request.keys, block.column_step, layer.keys) &&
    stepFor(lengthOf(request.queries), request.maxRows) >= block.row_step &&
    stepFor(lengthOf(request.keys), request.maxColumns) >= block.column_step
  );
}

function isWhole(range: Range, step: number, length: number): boolean {
  return range.start % step === 0 && (range.stop % step === 0 || range.stop === length);
}

function cellsOf(range: Range, step: number): Range {
  return { start: range.start / step, stop: Math.ceil(range.stop / step) };
}
