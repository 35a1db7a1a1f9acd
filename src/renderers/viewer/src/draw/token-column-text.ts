/** Widths of texts in an element's own font, without laying anything out. */

import type { Measure } from "./rulers";

export function measureLike(element: Element): Measure {
  const pen = document.createElement("canvas").getContext("2d");
  if (pen === null) return (text) => text.length * 7;
  pen.font = getComputedStyle(element).font;
  const known = new Map<string, number>();
  return (text) => {
    const width = known.get(text) ?? pen.measureText(text).width;
    known.set(text, width);
    return width;
  };
}
