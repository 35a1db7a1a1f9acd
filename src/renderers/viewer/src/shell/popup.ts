/** A small panel that a button opens below itself: closed by Esc, by a press elsewhere, or when the focus leaves. */

import { element, freshId, setAttributes } from "./dom";

export interface Popup {
  readonly element: HTMLElement;
  open(): void;
  close(): void;
}

/** `role` is "menu" for a list of actions, "dialog" for a form. Opening moves the focus to the first thing inside. */
export function popupFor(opener: HTMLButtonElement, label: string, role: "menu" | "dialog"): Popup {
  const id = freshId("popup");
  const panel = element("div", { class: "attn-popup", role, id, "aria-label": label, hidden: true, tabindex: -1 });
  setAttributes(opener, { "aria-haspopup": role, "aria-expanded": "false", "aria-controls": id });
  const onPress = (event: Event): void => {
    const path = event.composedPath();
    if (!path.includes(panel) && !path.includes(opener)) close(false);
  };
  function open(): void {
    panel.hidden = false;
    opener.setAttribute("aria-expanded", "true");
    putBelow(panel, opener);
    document.addEventListener("pointerdown", onPress, true);
    panel.querySelector<HTMLElement>("button:not([disabled]), input, select")?.focus();
  }
  function close(returnFocus: boolean): void {
    if (panel.hidden) return;
    panel.hidden = true;
    opener.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", onPress, true);
    if (returnFocus) opener.focus();
  }
  opener.addEventListener("click", () => (panel.hidden ? open() : close(true)));
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close(true);
  });
  panel.addEventListener("focusout", (event) => {
    const to = event.relatedTarget;
    if (to instanceof Node && !panel.contains(to) && to !== opener) close(false);
  });
  return { element: panel, open, close: () => close(true) };
}

/** Below the button, and inside the page's root, which is what the panel's place is counted from. */
function putBelow(panel: HTMLElement, opener: HTMLElement): void {
  const origin = panel.closest(".attncore")?.getBoundingClientRect();
  if (origin === undefined) return;
  const from = opener.getBoundingClientRect();
  const most = origin.width - panel.offsetWidth - 8;
  panel.style.left = `${Math.max(8, Math.min(from.left - origin.left, most))}px`;
  panel.style.top = `${from.bottom - origin.top + 4}px`;
  panel.style.maxHeight = `${Math.max(120, origin.bottom - from.bottom - 12)}px`;
}
