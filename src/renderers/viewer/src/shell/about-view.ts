/** One sentence on what the view shows, always there: what am I seeing? */

import type { ViewName } from "../state/selection";
import { element } from "./dom";
import { follow, type Shell } from "./shell";

export const ABOUT: Readonly<Record<ViewName, string>> = {
  head: "Each line: the token on the left attends to the token on the right; a stronger line means more.",
  model: "Each small square is one head’s whole matrix: a row for every token, a column for every token it attends to.",
  neuron: "How one weight comes about: query times key, summed, scaled, and made into a share of the whole by softmax.",
  matrix: "Each row is one token; each cell is how much it attends to the column’s token.",
};

export function createAbout(shell: Shell): HTMLElement {
  const about = element("p", { class: "attn-about" });
  follow(shell, ({ view }) => {
    about.textContent = about.title = ABOUT[view];
  });
  return about;
}
