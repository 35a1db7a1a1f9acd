/** The area that the current view draws into. */

import type { View } from "../views/view";
import { element, setAttributes } from "./dom";
import { follow, type Shell } from "./shell";

export interface Stage {
  readonly element: HTMLElement;
  /** Draws the current view again, at the same size. */
  redraw(): void;
  start(): void;
}

/** `id` is the panel's id, which the tabs point at. */
export function createStage(shell: Shell, id: string): Stage {
  const title = element("h2", { class: "attn-unseen" });
  const host = element("div", { class: "attn-view" });
  const { explanation, failure, passing } = shell.messages;
  const stage = element("div", { class: "attn-stage", role: "tabpanel", id }, title, host, explanation, failure, passing);
  let shown: View | null = null;

  function attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      shell.messages.fail(error);
    }
  }
  function close(): void {
    const leaving = shown;
    shown = null;
    if (leaving !== null) attempt(() => leaving.unmount());
    host.replaceChildren();
    shell.context.tooltip.hide();
  }
  function open(view: View): void {
    close();
    shell.messages.clearFailure();
    shell.messages.explain("");
    shown = view;
    title.textContent = `${view.title} view`;
    setAttributes(stage, { "data-view": view.name, "aria-label": title.textContent });
    attempt(() => view.mount(host, shell.context));
  }
  function redraw(): void {
    const view = shown;
    if (view !== null && host.clientWidth > 0) attempt(() => view.redraw());
  }
  function start(): void {
    follow(shell, () => {
      if (shown !== shell.view()) open(shell.view());
    });
    shell.onDestroy(followSize(host, redraw));
    shell.onDestroy(close);
  }
  return { element: stage, redraw, start };
}

/** Calls `redraw` when the element's size has changed since it was last drawn, at most once a frame. */
function followSize(host: HTMLElement, redraw: () => void): () => void {
  let size = `${host.clientWidth}x${host.clientHeight}`;
  let frame = 0;
  const observer = new ResizeObserver(() => {
    const now = `${host.clientWidth}x${host.clientHeight}`;
    if (now === size) return;
    size = now;
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(redraw);
  });
  observer.observe(host);
  return () => {
    observer.disconnect();
    cancelAnimationFrame(frame);
  };
}
