/** Token labels along the sides of a picture: which are shown, how they are cut, and how they are turned. */

import { graphemes } from "../data/graphemes";

/** Width of a text in pixels. */
export type Measure = (text: string) => number;

export interface RulerRequest {
  /** How many rows (or columns) there are in all, and the size of one in pixels. */
  readonly count: number;
  readonly cell: number;
  /** Where the first one begins, below 0 when it is out of sight to the left or above. */
  readonly offset: number;
  /** Pixels of the ruler. */
  readonly length: number;
  /** Pixels along the ruler that one label, or one number, needs. */
  readonly spacing: number;
  readonly numberSpacing: number;
  label(index: number): string;
  position(index: number): number;
  /** Whether positions rise along the ruler; when sorted otherwise, numbers at even distances say nothing. */
  readonly inOrder: boolean;
}

export interface RulerMark {
  readonly index: number;
  /** The middle of the row or column, in pixels along the ruler. */
  readonly centre: number;
  readonly text: string;
}

export interface RulerMarks {
  readonly kind: "tokens" | "numbers";
  readonly marks: readonly RulerMark[];
}

/** At most three of four labels are left out; beyond this a ruler of numbers is easier to read. */
const MOST_THINNED = 4;

export function rulerMarks(request: RulerRequest): RulerMarks {
  const { cell, spacing, numberSpacing, inOrder } = request;
  const step = Math.max(1, Math.ceil(spacing / cell));
  if (step <= MOST_THINNED || !inOrder) {
    return { kind: "tokens", marks: marksWhere(request, (index) => index % step === 0, request.label) };
  }
  const round = roundStep(numberSpacing / cell);
  const number = (index: number): string => String(request.position(index));
  return { kind: "numbers", marks: marksWhere(request, (index) => request.position(index) % round === 0, number) };
}

/** The smallest of 1, 2, 5, 10, 20, 50, … that is not below `least`. */
export function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least) ?? 10 * power;
}

/** A label, and how far it reaches from its middle along the ruler. */
export interface Extent {
  readonly centre: number;
  readonly half: number;
}

/**
 * Those of `marks` that come upon none of `kept`, nor upon each other: the first of two that would is kept.
 *
 * Both `marks` and the answer are in their own order.
 */
export function withoutOverlap<Mark extends Extent>(marks: readonly Mark[], kept: readonly Extent[]): Mark[] {
  const taken: Extent[] = [...kept];
  return marks.filter((mark) => {
    const free = taken.every((other) => Math.abs(other.centre - mark.centre) >= other.half + mark.half);
    if (free) taken.push(mark);
    return free;
  });
}

function marksWhere(
  request: RulerRequest,
  chosen: (index: number) => boolean,
  text: (index: number) => string,
): RulerMark[] {
  const { count, cell, offset, length } = request;
  const first = Math.max(0, Math.floor(-offset / cell));
  const last = Math.min(count - 1, Math.floor((length - offset) / cell));
  const marks: RulerMark[] = [];
  for (let index = first; index <= last; index += 1) {
    const centre = offset + (index + 0.5) * cell;
    if (centre >= 0 && centre <= length && chosen(index)) marks.push({ index, centre, text: text(index) });
  }
  return marks;
}

/** Longer texts are never drawn whole, so that measuring one of 10,000 characters costs no more. */
const LONGEST = 200;

/** `text`, or as much of its beginning as fits into `room` pixels and an ellipsis; never cuts an emoji in two. */
export function fitText(text: string, room: number, measure: Measure): string {
  const cut = text.length > LONGEST;
  if (!cut && measure(text) <= room) return text;
  const characters = graphemes(cut ? text.slice(0, LONGEST) : text);
  let [fits, fails] = [0, characters.length + 1];
  while (fails - fits > 1) {
    const middle = (fits + fails) >> 1;
    if (measure(`${characters.slice(0, middle).join("")}…`) <= room) fits = middle;
    else fails = middle;
  }
  return `${characters.slice(0, fits).join("").trimEnd()}…`;
}

/** The widest of many labels, at most `room`; looks at no more than some hundred of them. */
export function widestLabel(labels: readonly string[], room: number, measure: Measure): number {
  const longest = [...labels].sort((left, right) => right.length - left.length).slice(0, 100);
  let widest = 0;
  for (const label of longest) {
    widest = Math.max(widest, label.length > LONGEST ? room : measure(label));
    if (widest >= room) return room;
  }
  return Math.ceil(widest);
}

/** What is read from right to left. */
const RIGHT_TO_LEFT =
  /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Samaritan}\p{Script=Mandaic}\p{Script=Adlam}\p{Script=Hanifi_Rohingya}\u200f]/u;

/**
 * A label that reads from right to left keeps its own direction inside a picture or a sentence that does not: of two
 * around an arrow, the first would otherwise stand at the arrow's head.
 */
export function isolated(text: string): string {
  return RIGHT_TO_LEFT.test(text) ? `\u2068${text}\u2069` : text;
}

/** How column labels are turned: level where they fit, else leaning, else upright. Degrees. */
export type Turn = 0 | 60 | 90;

export function columnTurn(cell: number, widest: number): Turn {
  if (widest + 8 <= cell) return 0;
  return cell >= 17 ? 60 : 90;
}

/** Pixels along a ruler that a label of one line needs when it is turned. */
export function turnedSpacing(turn: Turn, lineHeight: number, widest: number): number {
  if (turn === 0) return widest + 8;
  return turn === 60 ? lineHeight / Math.sin(Math.PI / 3) : lineHeight;
}
