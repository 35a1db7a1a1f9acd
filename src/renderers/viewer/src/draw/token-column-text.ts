/** Widths of texts in an element's own font, without laying anything out. */

import type { Measure } from "./rulers";

/** `weight`: another font weight than the element's. */
export function measureLike(element: Element, weight?: string): Measure {
  const pen = document.createElement("canvas").getContext("2d");
  if (pen === null) return (text) => text.length * 7;
  const style = getComputedStyle(element);
  pen.font = weight === undefined ? style.font : `${weight} ${style.fontSize} ${style.fontFamily}`;
  const known = new Map<string, number>();
  return (text) => {
    const width = known.get(text) ?? pen.measureText(text).width;
    known.set(text, width);
    return width;
  };
}
