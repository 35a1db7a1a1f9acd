/** Where the model view puts its grid and the enlarged head: whichever way the small pictures become larger. */

import { columnsOfList, rowStep, thumbnailGrid, type ThumbnailGrid } from "../draw/thumbnails";

export interface ModelRoom {
  readonly width: number;
  readonly height: number;
  readonly rows: number;
  readonly columns: number;
  readonly caption: number;
  /** Width of the names of the rows. */
  readonly label: number;
  /** A ranked list, which may go on further down. */
  readonly list: boolean;
}

/** "over": there is no room; it lies over the grid, away from what is pointed at, and only as long as something is. */
export type PreviewPlace = "beside" | "below" | "over";

export interface ModelLayout {
  readonly grid: ThumbnailGrid;
  readonly place: PreviewPlace;
  /** Width of the preview beside the grid, or its height below or over it. */
  readonly preview: number;
}

export const HEADER_HEIGHT = 24;
export const MARGIN = 14;
const BESIDE = 282;
const BESIDE_MOST = 440;
const BELOW = 264;
const BELOW_MOST = 340;
/** What the enlarged head leaves the grid of the width, though the grid may need less. */
const LEAST_GRID = 210;
const OVER = 230;
const LEAST_OVER = 150;
/** Of a narrow window, what the enlarged head takes beside its words. */
const SHARE = 0.52;
/** Narrower than this, nothing fits beside a grid; lower than this, nothing below. */
const LEAST_WIDTH = 640;
const LEAST_HEIGHT = 400;

export function modelLayout(room: ModelRoom): ModelLayout {
  const { width, height, list } = room;
  const beside = width >= LEAST_WIDTH ? withPreview(room, "beside") : null;
  const below = height >= LEAST_HEIGHT ? withPreview(room, "below") : null;
  if (beside === null && below === null) {
    return { grid: gridIn(room, 0, 0), place: "over", preview: Math.floor(Math.max(LEAST_OVER, Math.min(OVER, height * 0.6))) };
  }
  if (beside === null || below === null) return grown(room, (beside ?? below)!);
  // A list goes down, and a preview beside it leaves it all of the height.
  if (list || !isBetter(room, below, beside)) return grown(room, beside);
  return grown(room, below);
}

/** The one that needs less scrolling; of two that need as much, the one with larger pictures. */
function isBetter(room: ModelRoom, below: ModelLayout, beside: ModelLayout): boolean {
  const [one, other] = [overhang(room, below), overhang(room, beside)];
  return one === other ? below.grid.side > beside.grid.side : one < other;
}

/** In how many directions the grid scrolls. */
function overhang(room: ModelRoom, { grid, place, preview }: ModelLayout): number {
  const across = room.width - room.label - 2 * MARGIN - (place === "beside" ? preview : 0);
  const down = room.height - HEADER_HEIGHT - MARGIN - (place === "below" ? preview : 0);
  return Number(room.columns * (grid.side + grid.gap) > across + grid.gap) + Number(room.rows * rowStep(grid) > down + grid.gap);
}

function withPreview(room: ModelRoom, place: "beside" | "below"): ModelLayout {
  const below = Math.floor(Math.min(BELOW, room.width * SHARE));
  const grid = place === "beside" ? gridIn(room, BESIDE, 0) : gridIn(room, 0, below);
  return { grid, place, preview: place === "beside" ? BESIDE : below };
}

/** The preview takes what the grid leaves. */
function grown(room: ModelRoom, { grid, place, preview }: ModelLayout): ModelLayout {
  const across = room.width - room.label - 2 * MARGIN - room.columns * (grid.side + grid.gap);
  const down = room.height - HEADER_HEIGHT - MARGIN - room.rows * rowStep(grid);
  const beside = Math.min(BESIDE_MOST, across, room.height - 170, room.width - room.label - LEAST_GRID);
  const most = place === "beside" ? beside : Math.min(BELOW_MOST, down, room.width * SHARE);
  return { grid, place, preview: Math.floor(Math.max(preview, most)) };
}

/** A list scrolls whatever its pictures' size: they are as large as its columns are wide. */
function gridIn(room: ModelRoom, right: number, below: number): ThumbnailGrid {
  const width = room.width - room.label - 2 * MARGIN - right;
  const height = room.height - HEADER_HEIGHT - MARGIN - below;
  return thumbnailGrid({ ...room, rows: room.list ? 1 : room.rows, width, height });
}

/** How many pictures a row of a list of `count` heads has. */
export function listColumns(width: number, label: number, count: number): number {
  const right = width >= LEAST_WIDTH ? BESIDE : 0;
  return columnsOfList(width - label - 2 * MARGIN - right, count);
}
