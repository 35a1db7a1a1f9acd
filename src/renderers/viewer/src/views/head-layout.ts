/** Where the head view puts its two columns, the lines between them and the figures beside them. */

/** A part of the view's width, in CSS pixels. */
export interface Strip {
  readonly left: number;
  readonly width: number;
}

export interface HeadLayout {
  readonly width: number;
  readonly height: number;
  /** The marks along the edges that show the whole length of a column. */
  readonly queryEdge: Strip;
  readonly keyEdge: Strip;
  /** Bars and numbers on the outer side of each column. */
  readonly queryFigures: Strip;
  readonly keyFigures: Strip;
  readonly queryText: Strip;
  readonly keyText: Strip;
  readonly lines: Strip;
}

export const EDGE_WIDTH = 8;
/** Of the figures' width, what the number takes: "≥ 0.00078" too must be whole. */
export const NUMBER_WIDTH = 64;
const EDGE_MARGIN = 6;
const TEXT_MARGIN = 18;
const NARROWEST_TEXT = 48;
const WIDEST_TEXT = 200;
const WIDEST_LINES = 720;

/** `queryText` and `keyText` are the widths that the longest labels want. */
export function headLayout(width: number, height: number, queryText: number, keyText: number): HeadLayout {
  const figures = figuresWidth(width);
  const room = Math.max(NARROWEST_TEXT, Math.min(WIDEST_TEXT, width * 0.24));
  const texts = [queryText, keyText].map((wanted) => Math.min(room, Math.max(NARROWEST_TEXT, Math.ceil(wanted) + TEXT_MARGIN)));
  const [queryWidth = 0, keyWidth = 0] = texts;
  const sides = 2 * (EDGE_WIDTH + EDGE_MARGIN) + 2 * figures + queryWidth + keyWidth;
  const between = Math.max(60, Math.min(WIDEST_LINES, width - sides));
  const spare = Math.max(0, (width - sides - between) / 2);
  let left = EDGE_WIDTH + EDGE_MARGIN + spare;
  const next = (size: number): Strip => {
    const strip = { left, width: size };
    left += size;
    return strip;
  };
  const queryFigures = next(figures);
  const queryStrip = next(queryWidth);
  const lines = next(between);
  const keyStrip = next(keyWidth);
  return {
    width,
    height,
    queryEdge: { left: 0, width: EDGE_WIDTH },
    keyEdge: { left: width - EDGE_WIDTH, width: EDGE_WIDTH },
    queryFigures,
    queryText: queryStrip,
    lines,
    keyText: keyStrip,
    keyFigures: next(figures),
  };
}

/** In a narrow window the bars go first; the numbers stay. */
function figuresWidth(width: number): number {
  if (width >= 900) return NUMBER_WIDTH + 88;
  return width >= 640 ? NUMBER_WIDTH + 48 : NUMBER_WIDTH;
}
