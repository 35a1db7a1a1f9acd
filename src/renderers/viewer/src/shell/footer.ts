/** The bottom line: how exact the numbers are, what was done to them, what is missing, and what they do not mean. */

import { precisionText } from "../data/precision";
import { button, element, refill } from "./dom";
import { plural } from "./layers";
import { follow, type Shell } from "./shell";

export function createFooter(shell: Shell, about: () => void): HTMLElement {
  const { precision, coverage } = shell.trace;
  const exact = element("span", { class: "attn-precision", "data-kind": precision.kind }, precisionText(precision));
  const notes = element("span", { class: "attn-reader-notes" });
  const count = coverage.reduce((sum, entry) => sum + entry.count, 0);
  const missing = button(`${plural(count, "module")} not shown`, { class: "attn-link", title: "What ran and is not shown" }, about);
  const footer = element("div", { class: "attn-footer" }, exact, notes, count === 0 ? null : missing, createCaution());
  follow(shell, () => {
    const sentences = shell.reader.notes();
    notes.hidden = sentences.length === 0;
    refill(notes, sentences.join(" "));
    notes.title = sentences.join(" ");
  });
  return footer;
}

/** Attention is not importance, with the two papers that argue about how far it can be read as one. */
function createCaution(): HTMLElement {
  return element(
    "span",
    { class: "attn-caution", title: "Attention shows where information can flow, not what caused an output" },
    "Attention is not importance: ",
    paper("Jain & Wallace 2019", "Attention is not Explanation", "https://arxiv.org/abs/1902.10186"),
    ", ",
    paper("Wiegreffe & Pinter 2019", "Attention is not not Explanation", "https://arxiv.org/abs/1908.04626"),
  );
}

function paper(name: string, title: string, href: string): HTMLElement {
  return element("a", { href, title, target: "_blank", rel: "noopener noreferrer" }, name);
}
