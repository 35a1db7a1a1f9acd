/** Loads the visible part of the matrix in tiles at the resolution of the screen, and keeps what it has loaded. */

import type { BlockRequest, Series, WeightsReader } from "../data/reader";
import { isLeftOut, mostOf } from "../data/weights";
import { largest } from "../draw/heatmap";
import type { Tile } from "../source/source";
import type { MatrixOrder } from "./matrix-order";
import { linksOf, piecesOf, type Piece } from "./matrix-pieces";

/**
 * Cells of one tile. Wide, since a source computes whole rows of weights whatever part of them is asked for, and low,
 * so that a long matrix appears band by band. Where rows are sorted each band has queries from everywhere: one is best.
 */
const TILE_ROWS = 64;
const SORTED_TILE_ROWS = 1024;
const TILE_COLUMNS = 1024;
/** Tiles kept beside those of the whole picture. */
const MOST_KEPT = 120;
/** Questions under way at once. */
const MOST_ASKED = 2;

/** How many rows and columns a cell stands for. */
export interface Resolution {
  readonly rowStep: number;
  readonly columnStep: number;
}

/** Rows and columns from `first` to before `last`, in the order in which they are drawn. */
export interface Window {
  readonly firstRow: number;
  readonly lastRow: number;
  readonly firstColumn: number;
  readonly lastColumn: number;
}

export interface MatrixTile extends Window, Resolution {
  /** Cells; `values` are row-major, and so is `most`, which is there where the source left weights out (see `Tile`). */
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
  readonly most?: Float32Array | undefined;
}

/** The coarsest of 1, 2, 3, 4, 6, 8, 12, … rows a cell that still gives every cell a pixel. */
export function stepFor(pixels: number): number {
  const least = 1 / pixels;
  for (let step = 1; ; step *= 2) {
    if (step >= least) return step;
    if (step > 1 && step * 1.5 >= least) return step * 1.5;
  }
}

/** A tile that waits for its turn. `drop` ends the waiting when the picture has moved on. */
interface Question {
  readonly run: () => Promise<void>;
  readonly drop: () => void;
}

export class MatrixTiles {
  /** The largest weight seen so far. */
  max = 0;
  hasMissing = false;
  hasLeftOut = false;
  hasNegative = false;
  private readonly kept = new Map<string, MatrixTile>();
  private readonly asked = new Map<string, Promise<void>>();
  private readonly pinned = new Set<string>();
  private readonly queue: Question[] = [];
  private running = 0;

  constructor(
    private readonly reader: WeightsReader,
    readonly series: Series,
    private readonly item: number,
    readonly order: MatrixOrder,
    private readonly onArrival: () => void,
  ) {}

  /** The tiles that cover `window`, those that are there. */
  loaded(window: Window, resolution: Resolution): MatrixTile[] {
    return this.covering(window, resolution)
      .map((tile) => this.kept.get(nameOf(tile, resolution)))
      .filter((tile) => tile !== undefined);
  }

  complete(window: Window, resolution: Resolution): boolean {
    return this.covering(window, resolution).every((tile) => this.kept.has(nameOf(tile, resolution)));
  }

  /** Loads what is missing of `window`; questions of an earlier call that have not been asked yet are dropped. */
  async load(window: Window, resolution: Resolution, keepAlways: boolean): Promise<void> {
    for (const question of this.queue.splice(0)) question.drop();
    const tiles = this.covering(window, resolution);
    await Promise.all(
      tiles.map((tile) => {
        const name = nameOf(tile, resolution);
        if (keepAlways) this.pinned.add(name);
        const known = this.kept.get(name);
        if (known !== undefined) return this.touch(name, known);
        return this.asked.get(name) ?? this.ask(name, tile, resolution);
      }),
    );
  }

  private covering(window: Window, resolution: Resolution): Window[] {
    const { order } = this;
    const rows = (order.sorted === "rows" ? SORTED_TILE_ROWS : TILE_ROWS) * resolution.rowStep;
    const columns = TILE_COLUMNS * resolution.columnStep;
    const tiles: Window[] = [];
    for (let row = Math.floor(window.firstRow / rows) * rows; row < window.lastRow; row += rows) {
      for (let column = Math.floor(window.firstColumn / columns) * columns; column < window.lastColumn; column += columns) {
        const lastRow = Math.min(order.rows.length, row + rows);
        const lastColumn = Math.min(order.columns.length, column + columns);
        tiles.push({ firstRow: row, lastRow, firstColumn: column, lastColumn });
      }
    }
    return tiles;
  }

  /** Moves a tile to the end of those that may be let go. */
  private touch(name: string, tile: MatrixTile): void {
    this.kept.delete(name);
    this.kept.set(name, tile);
  }

  private ask(name: string, tile: Window, resolution: Resolution): Promise<void> {
    return new Promise((resolve, reject) => {
      const run = async (): Promise<void> => {
        const work = this.read(name, tile, resolution);
        this.asked.set(name, work);
        await work.then(resolve, reject);
        this.asked.delete(name);
      };
      this.queue.push({ run, drop: resolve });
      this.next();
    });
  }

  private next(): void {
    if (this.running >= MOST_ASKED) return;
    const question = this.queue.shift();
    if (question === undefined) return;
    this.running += 1;
    void question.run().then(() => {
      this.running -= 1;
      this.next();
    });
  }

  private async read(name: string, window: Window, resolution: Resolution): Promise<void> {
    const tile = await readTile(this.reader, this.series, this.item, this.order, window, resolution);
    this.max = Math.max(this.max, largest(tile.values));
    this.hasMissing ||= hasMissing(tile);
    this.hasLeftOut ||= hasLeftOut(tile);
    this.hasNegative ||= tile.values.some((value) => value < 0);
    this.kept.set(name, tile);
    for (const old of this.kept.keys()) {
      if (this.kept.size - this.pinned.size <= MOST_KEPT) break;
      if (!this.pinned.has(old)) this.kept.delete(old);
    }
    this.onArrival();
  }
}

/** Whether some cell is the model's own not-a-number. */
export function hasMissing({ values, most = values }: MatrixTile): boolean {
  return most.some(Number.isNaN);
}

/** Whether of some cell no weight is held. */
export function hasLeftOut(tile: MatrixTile): boolean {
  return tile.most !== undefined && tile.values.some((value, place) => isLeftOut(value, mostOf(tile, place)));
}

function nameOf(tile: Window, resolution: Resolution): string {
  return `${tile.firstRow} ${tile.firstColumn} ${resolution.rowStep} ${resolution.columnStep}`;
}

/** One tile, put together from as many blocks as its positions need; a cell is the largest weight that falls into it. */
export async function readTile(
  reader: WeightsReader,
  series: Series,
  item: number,
  order: MatrixOrder,
  window: Window,
  resolution: Resolution,
): Promise<MatrixTile> {
  const rowPieces = piecesOf(order.rows, window.firstRow, window.lastRow, resolution.rowStep);
  const columnPieces = piecesOf(order.columns, window.firstColumn, window.lastColumn, resolution.columnStep);
  const rows = Math.ceil((window.lastRow - window.firstRow) / resolution.rowStep);
  const columns = Math.ceil((window.lastColumn - window.firstColumn) / resolution.columnStep);
  const pairs = rowPieces.flatMap((row) => columnPieces.map((column) => [row, column] as const));
  const answers = await Promise.all(pairs.map(([row, column]) => readPiece(reader, { series, item }, row, column)));
  const bounded = answers.some(({ tile }) => tile.most !== undefined);
  const cells = emptyCells(rows * columns, bounded);
  for (const answer of answers) addPiece(answer, cells, columns);
  if (bounded) markLeftOut(cells);
  return { ...window, ...resolution, rows, columns, ...cells };
}

/** What is known of each cell so far; nothing is below everything. */
interface Cells {
  readonly values: Float32Array;
  readonly most: Float32Array | undefined;
}

function emptyCells(count: number, bounded: boolean): Cells {
  const empty = (): Float32Array => new Float32Array(count).fill(Number.NEGATIVE_INFINITY);
  return { values: empty(), most: bounded ? empty() : undefined };
}

interface Answer {
  readonly row: Piece;
  readonly column: Piece;
  readonly tile: Tile;
}

async function readPiece(reader: WeightsReader, what: Pick<BlockRequest, "series" | "item">, row: Piece, column: Piece): Promise<Answer> {
  const tile = await reader.block({
    ...what,
    queries: { start: row.start, stop: row.stop },
    keys: { start: column.start, stop: column.stop },
    maxRows: row.cells,
    maxColumns: column.cells,
  });
  return { row, column, tile };
}

/** Each cell of the picture gets the largest weight, and the largest bound, of those of the answer that fall into it. */
function addPiece({ row, column, tile }: Answer, { values, most }: Cells, columns: number): void {
  const [down, across] = [linksOf(row, tile.rowStep), linksOf(column, tile.columnStep)];
  for (let i = 0; i < down.cells.length; i += 1) {
    const from = (down.rows[i] ?? 0) * tile.columns;
    const into = (down.cells[i] ?? 0) * columns;
    for (let j = 0; j < across.cells.length; j += 1) {
      const place = from + (across.rows[j] ?? 0);
      const cell = into + (across.cells[j] ?? 0);
      const weight = tile.values[place] ?? 0;
      const bound = (tile.most ?? tile.values)[place] ?? 0;
      // The model's own not-a-number has no bound; once a cell holds it no comparison is true, so it keeps it.
      if (weight > (values[cell] ?? 0) || Number.isNaN(bound)) values[cell] = weight;
      if (most !== undefined && (bound > (most[cell] ?? 0) || Number.isNaN(bound))) most[cell] = bound;
    }
  }
}

/** Cells of which no weight is held at all, only a bound, have no value. */
function markLeftOut({ values, most }: Cells): void {
  for (let cell = 0; cell < values.length; cell += 1) {
    if (values[cell] === Number.NEGATIVE_INFINITY && (most?.[cell] ?? values[cell]) !== Number.NEGATIVE_INFINITY) values[cell] = Number.NaN;
  }
}
