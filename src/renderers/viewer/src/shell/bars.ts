/** A number as a small bar, and a head's colour as a swatch. */

import { element } from "./dom";

/** `share` is 0 to 1; the colour of the text's accent when none is given. */
export function bar(share: number, colour: string | null): HTMLElement {
  const fill = element("span", { class: "attn-bar-fill" });
  fillBar(fill, share, colour);
  return element("span", { class: "attn-bar", "aria-hidden": "true" }, fill);
}

export function fillBar(fill: HTMLElement, share: number, colour: string | null): void {
  fill.style.width = `${Math.min(1, Math.max(0, share || 0)) * 100}%`;
  fill.style.backgroundColor = colour ?? "";
}

export function swatch(colour: string | null): HTMLElement | null {
  if (colour === null) return null;
  const made = element("span", { class: "attn-swatch", "aria-hidden": "true" });
  made.style.backgroundColor = colour;
  return made;
}
