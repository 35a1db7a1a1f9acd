/**
 * Weights as a list: a line each with a name or a token, a bar and the number.
 *
 * The lines are kept and only their differences written, since all of them change whenever the pointer moves.
 */

import { fillBar } from "./bars";
import { element } from "./dom";

export interface WeightLine {
  /** The token that the weight belongs to; null for none. */
  readonly token: { readonly text: string; readonly title: string } | null;
  /** What the line is called: where the token stands, or which head it is. */
  readonly name: string;
  /** Of the head's swatch and the bar; null for none. */
  readonly colour: string | null;
  /** The bar's length, 0 to 1. */
  readonly share: number;
  /** "<" or "≥" where the number is a bound, otherwise "". */
  readonly sign: string;
  readonly number: string;
  /** The whole number, where `number` is less. */
  readonly whole: string | null;
  readonly title: string | null;
}

interface LineParts {
  readonly line: HTMLElement;
  readonly swatch: HTMLElement;
  readonly name: Text;
  readonly token: HTMLElement;
  readonly text: Text;
  readonly fill: HTMLElement;
  readonly weight: HTMLElement;
  readonly sign: Text;
  readonly number: Text;
}

export class WeightLines {
  readonly element: HTMLElement;
  private readonly parts: LineParts[] = [];

  /** What each line is called stands before its token if it is a head, and behind it if it is a place. */
  constructor(private readonly of: "heads" | "places") {
    this.element = element(of === "heads" ? "ul" : "ol", { class: "attn-weights" });
  }

  show(lines: readonly WeightLine[]): void {
    while (this.parts.length > lines.length) this.parts.pop()?.line.remove();
    lines.forEach((line, index) => {
      const parts = this.parts[index] ?? this.another();
      write(parts, line);
    });
  }

  private another(): LineParts {
    const parts = newLine(this.of);
    this.parts.push(parts);
    this.element.append(parts.line);
    return parts;
  }
}

function newLine(of: "heads" | "places"): LineParts {
  const texts = { name: new Text(), text: new Text(), sign: new Text(), number: new Text() };
  const swatch = element("span", { class: "attn-swatch", "aria-hidden": "true" });
  const token = element("bdi", { class: "attn-token" }, texts.text);
  const words =
    of === "heads"
      ? [element("span", { class: "attn-head-name attn-number" }, swatch, texts.name), token]
      : [token, element("span", { class: "attn-place attn-number attn-muted" }, texts.name)];
  const fill = element("span", { class: "attn-bar-fill" });
  // The "<" or "≥" of a bound hangs before the column, so that all points stand in one line.
  const weight = element("span", { class: "attn-number attn-weight" }, element("span", { class: "attn-bound" }, texts.sign), texts.number);
  const line = element(
    "li",
    {},
    element("span", { class: "attn-weight-label" }, ...words),
    element("span", { class: "attn-bar", "aria-hidden": "true" }, fill),
    weight,
  );
  return { line, swatch, token, fill, weight, ...texts };
}

function write(parts: LineParts, line: WeightLine): void {
  setText(parts.name, line.name);
  setText(parts.text, line.token?.text ?? "");
  setText(parts.sign, line.sign);
  setText(parts.number, line.number);
  setTitle(parts.token, line.token?.title ?? null);
  setTitle(parts.weight, line.whole);
  setTitle(parts.line, line.title);
  parts.swatch.hidden = line.colour === null;
  parts.swatch.style.backgroundColor = line.colour ?? "";
  fillBar(parts.fill, line.share, line.colour);
}

function setText(text: Text, data: string): void {
  if (text.data !== data) text.data = data;
}

function setTitle(target: HTMLElement, title: string | null): void {
  if (title === null) target.removeAttribute("title");
  else if (target.title !== title) target.title = title;
}
