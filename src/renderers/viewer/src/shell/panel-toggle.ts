/** Opens and closes the details, which stand beside the view, or over it where the viewer is narrow. */

import type { Details } from "./details";
import { setAttributes } from "./dom";
import type { Shell } from "./shell";

/** Below this width the details would leave the view too little room beside them. */
const NARROW = 900;
/** From this width on they are open unless somebody closes them; below it the view has all of it. */
const ROOMY = 1000;

export interface PanelToggle {
  /** Opens the details where there is room; called when the root is in the page, and best while it is empty. */
  start(): void;
  flip(): void;
}

export function createPanelToggle(shell: Shell, details: Details, opener: HTMLElement): PanelToggle {
  let room: "narrow" | "some" | "roomy" | null = null;
  setAttributes(opener, { "aria-controls": details.element.id });
  function show(open: boolean): void {
    details.element.hidden = !open;
    setAttributes(opener, { "aria-pressed": String(open) });
    details.update();
  }
  function fit(): void {
    const width = shell.root.clientWidth;
    const now = width < NARROW ? "narrow" : width < ROOMY ? "some" : "roomy";
    if (now === room) return;
    room = now;
    setAttributes(shell.root, { "data-narrow": now === "narrow" });
    show(now === "roomy");
  }
  function start(): void {
    fit();
    const observer = new ResizeObserver(fit);
    observer.observe(shell.root);
    shell.onDestroy(() => observer.disconnect());
  }
  return { start, flip: () => show(details.element.hasAttribute("hidden")) };
}
