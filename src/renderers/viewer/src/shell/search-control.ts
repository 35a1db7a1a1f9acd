/** Search for a token: how many there are, and the way from one to the next, each pinned in turn. */

import { matchingPositions } from "../data/search";
import { labelOf } from "../data/tokens";
import type { AxisInfo } from "../source/trace-info";
import { element, refill } from "./dom";
import { iconButton } from "./fields";
import { icon } from "./icons";
import { nextMatch, same, type Match } from "./matches";
import { relevantControls } from "./relevant";
import { follow, type Shell } from "./shell";

export interface SearchControl {
  readonly element: HTMLElement;
  focus(): void;
}

export function createSearchControl(shell: Shell): SearchControl {
  const { store } = shell;
  const input = createInput();
  const count = element("span", { class: "attn-count attn-number attn-muted", "aria-hidden": "true" });
  const step = (by: 1 | -1): void => goToMatch(shell, by);
  const previous = iconButton("previous", "Previous match", () => step(-1));
  const next = iconButton("next", "Next match", () => step(1));
  const box = element("div", { class: "attn-search", role: "search" }, icon("search"), input, count, previous, next);
  input.addEventListener("input", () => {
    store.select({ search: input.value });
    shell.messages.announce(input.value === "" ? "" : `${matchesNow(shell).length} matches`);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") {
      // The first takes the text away, the second gives the keys back to the view.
      if (input.value === "") shell.focusView();
      store.select({ search: "" });
    }
    if (event.key === "Enter" || event.key === "Escape") event.preventDefault();
  });
  follow(shell, (selection) => {
    const { search } = selection;
    box.hidden = !relevantControls(selection, shell.trace, shell.context.layer()).search;
    if (input.value !== search) input.value = search;
    const matches = search === "" ? [] : matchesNow(shell);
    previous.hidden = next.hidden = matches.length === 0;
    refill(count, search === "" ? null : countText(matches, pinned(shell, matches)));
  });
  return {
    element: box,
    focus: () => {
      input.focus();
      input.select();
    },
  };
}

function createInput(): HTMLInputElement {
  return element("input", {
    type: "search",
    class: "attn-input",
    placeholder: "Find token",
    "aria-label": "Find a token",
    title: "Find a token (/): Enter for the next, Shift+Enter for the one before",
    autocomplete: "off",
    spellcheck: "false",
    dir: "auto",
  });
}

/** "3 / 17", "17" when none of them is pinned, "none". */
export function countText(matches: readonly Match[], current: Match | null): string {
  if (matches.length === 0) return "none";
  const place = current === null ? -1 : matches.findIndex((match) => same(match, current));
  return place === -1 ? String(matches.length) : `${place + 1} / ${matches.length}`;
}

/** Among the queries; among the keys too where they are other tokens. */
function matchesNow(shell: Shell): readonly Match[] {
  const { context, reader, store } = shell;
  const { search, item } = store.selection;
  const layer = context.layer();
  const among = (side: Match["side"], axis: AxisInfo, listed: readonly number[]): readonly Match[] => {
    const positions = new Set(listed);
    return matchingPositions(axis, item, search).filter((position) => positions.has(position)).map((position) => ({ side, position }));
  };
  const queries = among("query", context.queryAxis(), reader.queries());
  if (layer.queryAxis === layer.keyAxis) return queries;
  return [...queries, ...among("key", context.keyAxis(), reader.keys())];
}

function pinned(shell: Shell, matches: readonly Match[]): Match | null {
  const { query, key } = shell.store.selection;
  return matches.find((match) => match.position === (match.side === "query" ? query : key)) ?? null;
}

function goToMatch(shell: Shell, by: 1 | -1): void {
  const matches = matchesNow(shell);
  const match = nextMatch(matches, pinned(shell, matches), by);
  if (match === null) {
    shell.messages.say(`No token holds "${shell.store.selection.search}"`);
    return;
  }
  shell.store.select(match.side === "query" ? { query: match.position, key: null } : { query: null, key: match.position });
  const axis = match.side === "query" ? shell.context.queryAxis() : shell.context.keyAxis();
  const label = labelOf(axis, shell.store.selection.item, match.position);
  shell.messages.announce(`${match.side} ${match.position}: ${label}`);
}
