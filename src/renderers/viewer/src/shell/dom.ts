/** Makes elements from data. Text becomes text nodes and never markup, whatever a token or a layer's name holds. */

export type Attributes = Readonly<Record<string, string | number | boolean | null>>;
export type Child = Node | string | null;

/** An attribute that is `false` or `null` is left out; `true` is written as an empty one. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  setAttributes(made, attributes);
  append(made, children);
  return made;
}

export function setAttributes(target: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null) target.removeAttribute(name);
    else target.setAttribute(name, value === true ? "" : String(value));
  }
}

/** Puts `children` in the place of all that is in `target`. */
export function refill(target: Element, ...children: readonly Child[]): void {
  target.replaceChildren();
  append(target, children);
}

function append(target: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child !== null) target.append(child);
  }
}

/** A button with words on it; `class` among the attributes comes beside the plain look. */
export function button(label: string, attributes: Attributes, onClick: (event: MouseEvent) => void): HTMLButtonElement {
  const look = ["attn-button", attributes["class"]].filter(Boolean).join(" ");
  const made = element("button", { type: "button", ...attributes, class: look }, label);
  made.addEventListener("click", onClick);
  return made;
}

let made = 0;
const page = Math.random().toString(36).slice(2, 8);

/** An id that no other viewer in the same page has. */
export function freshId(what: string): string {
  made += 1;
  return `attn-${what}-${page}-${made}`;
}
