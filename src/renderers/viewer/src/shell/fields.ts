/** The plain controls that the bars are made of. */

import { element, freshId, setAttributes, type Attributes } from "./dom";
import { icon, type IconName } from "./icons";

export interface Field<Value> {
  readonly element: HTMLElement;
  /** Shows a value without telling anybody. */
  set(value: Value): void;
}

/** A few choices side by side, of which one is taken: radio buttons, so that arrow keys work by themselves. */
export function choice<Value extends string>(
  label: string,
  options: readonly (readonly [Value, string, string?])[],
  onChange: (value: Value) => void,
): Field<Value> {
  const name = freshId("choice");
  const group = element("div", { class: "attn-choice", role: "radiogroup", "aria-label": label });
  const inputs = options.map(([value, text, title]) => {
    const input = element("input", { type: "radio", name, value, class: "attn-unseen" });
    input.addEventListener("change", () => onChange(value));
    group.append(element("label", { title: title ?? null }, input, element("span", {}, text)));
    return input;
  });
  return { element: group, set: (value) => inputs.forEach((input) => (input.checked = input.value === value)) };
}

/** A button that stays pressed. */
export function toggle(label: string, attributes: Attributes, onChange: (pressed: boolean) => void): Field<boolean> {
  const made = element("button", { type: "button", class: "attn-button attn-toggle", ...attributes }, label);
  made.addEventListener("click", () => onChange(made.getAttribute("aria-pressed") !== "true"));
  return { element: made, set: (pressed) => setAttributes(made, { "aria-pressed": String(pressed) }) };
}

export interface SliderField extends Field<number> {
  readonly element: HTMLInputElement;
  setRange(most: number): void;
}

/** A slider from 0 to `most` in whole steps. */
export function slider(label: string, most: number, onChange: (place: number) => void): SliderField {
  const input = element("input", { type: "range", class: "attn-slider", min: 0, max: most, step: 1, "aria-label": label });
  const showFill = (): void => input.style.setProperty("--attn-fill", `${(input.valueAsNumber / Number(input.max)) * 100 || 0}%`);
  input.addEventListener("input", () => {
    showFill();
    onChange(input.valueAsNumber);
  });
  return {
    element: input,
    set: (place) => {
      input.valueAsNumber = place;
      showFill();
    },
    setRange: (range) => (input.max = String(range)),
  };
}

/** A button with a picture; `label` is its name and its title. */
export function iconButton(name: IconName, label: string, onClick: () => void): HTMLButtonElement {
  const attributes = { type: "button", class: "attn-button attn-icon-button", "aria-label": label, title: label };
  const made = element("button", attributes, icon(name));
  made.addEventListener("click", onClick);
  return made;
}
