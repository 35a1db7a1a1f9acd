/** The same tapered lines as outlines for SVG: one path for all lines of a colour and a similar opacity. */

import { ARROW_LENGTH, BEND, STEEPEST, TAPER, arrowSize, lineWidth, rise, type LineStyle } from "./lines";

export interface LineEnds {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

/**
 * The outline of one line.
 *
 * `rise` is a cubic in x, so a cubic Bezier curve whose control points stand at a third and two thirds of the way
 * follows it exactly.
 */
export function linePath(ends: LineEnds, level: number, style: LineStyle): string {
  const { x0, y0, x1, y1 } = ends;
  const slope = (y1 - y0) / Math.max(1, x1 - x0);
  const start = (lineWidth(level, style) / 2) * Math.min(STEEPEST, Math.sqrt(1 + slope * slope));
  const stop = start * TAPER;
  const edge = (from: number, to: number, forth: boolean): string => curve(x0, y0 + from, x1, y1 + to, forth);
  const body = `M${point(x0, y0 - start)}${edge(-start, -stop, true)}L${point(x1, y1 + stop)}${edge(start, stop, false)}Z`;
  return body + arrowPath(ends, arrowSize(level, style));
}

function curve(x0: number, y0: number, x1: number, y1: number, forth: boolean): string {
  const third = (x1 - x0) / 3;
  const lift = ((1 - BEND) * (y1 - y0)) / 3;
  const near = point(x0 + third, y0 + lift);
  const far = point(x1 - third, y1 - lift);
  return forth ? `C${near} ${far} ${point(x1, y1)}` : `C${far} ${near} ${point(x0, y0)}`;
}

function arrowPath({ x0, y0, x1, y1 }: LineEnds, size: number): string {
  if (size === 0) return "";
  const x = x1 - ARROW_LENGTH;
  const y = y0 + (y1 - y0) * rise((x - x0) / Math.max(1, x1 - x0));
  return `M${point(x, y - size)}L${point(x1, y1)}L${point(x, y + size)}Z`;
}

function point(x: number, y: number): string {
  return `${rounded(x)},${rounded(y)}`;
}

function rounded(value: number): string {
  return String(Math.round(value * 10) / 10);
}
