/** Text in lines that fit: SVG does not break it by itself. */

import { visible } from "../data/tokens";
import { fitText, isolated, type Measure } from "./rulers";
import { FONT_SIZE, measureText } from "./rulers-draw";

/** How much wider bold text is, at most. */
const BOLD = 1.12;

/** Broken between words, each line at most `room` pixels wide; a word that is wider by itself is cut. */
export function wrapped(text: string, room: number, measure: Measure = measureText): string[] {
  const lines: string[] = [];
  for (const word of seen(text).split(" ")) {
    const last = lines.at(-1);
    const longer = last === undefined ? word : `${last} ${word}`;
    if (last !== undefined && measure(longer) <= room) lines[lines.length - 1] = longer;
    else lines.push(fitText(word, room, measure));
  }
  return lines;
}

/** With signs for what cannot be seen, but not for what keeps a word in its own direction (`isolated`). */
function seen(text: string): string {
  const parts = text.split(/\u2068([^\u2066-\u2069]+)\u2069/u);
  return parts.map((part, place) => (place % 2 === 1 ? isolated(visible(part)) : part === "" && parts.length > 1 ? "" : visible(part))).join("");
}

/** `measureText` for a heading of another size, in bold. */
export function measureHeading(size: number): Measure {
  return (text) => (measureText(text) * size * BOLD) / FONT_SIZE;
}
