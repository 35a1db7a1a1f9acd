/** What the page says: to a screen reader, in passing, where a view cannot draw, and when something failed. */

import { SourceError } from "../source/source";
import { button, element, refill } from "./dom";

const PASSING_MS = 2600;

export class Messages {
  /** Read out by screen readers, never seen. */
  readonly live = element("div", { class: "attn-unseen", role: "status", "aria-live": "polite" });
  readonly passing = element("div", { class: "attn-passing", "aria-hidden": "true", hidden: true });
  readonly explanation = element("div", { class: "attn-explanation", hidden: true });
  readonly failure = element("div", { class: "attn-failure", role: "alert", hidden: true });
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `retry` draws the current view again. */
  constructor(private readonly retry: () => void) {}

  announce(text: string): void {
    this.live.textContent = text;
  }

  /** A short note that goes away by itself. */
  say(text: string): void {
    this.announce(text);
    this.passing.textContent = text;
    this.passing.hidden = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.passing.hidden = true), PASSING_MS);
  }

  /** Stays as long as the view is shown; an empty text takes it away. */
  explain(text: string): void {
    if (this.explanation.textContent === text) return;
    // What no longer holds is not left for a screen reader to come upon.
    if (this.live.textContent === this.explanation.textContent) this.announce("");
    this.explanation.hidden = text === "";
    refill(this.explanation, element("p", {}, text));
    if (text !== "") this.announce(text);
  }

  fail(error: unknown): void {
    console.error(error);
    const again = button("Try again", {}, () => {
      this.clearFailure();
      this.retry();
    });
    const close = button("Close", {}, () => this.clearFailure());
    const words = element("p", {}, element("strong", {}, "Something went wrong. "), describe(error));
    refill(this.failure, words, element("div", { class: "attn-row" }, again, close));
    this.failure.hidden = false;
  }

  clearFailure(): void {
    this.failure.hidden = true;
    this.failure.replaceChildren();
  }

  destroy(): void {
    clearTimeout(this.timer);
  }
}

/** A source's error is a sentence for the person; any other is a fault of ours, named so that it can be reported. */
export function describe(error: unknown): string {
  if (error instanceof SourceError) return error.message;
  if (error instanceof Error) return `${error.name}: ${error.message}`;
  return String(error);
}
