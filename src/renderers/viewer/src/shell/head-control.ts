/** Which heads: one toggle each in the head's colour, all of them, or their mean. */

import { button, element, refill, setAttributes } from "./dom";
import { toggle } from "./fields";
import { chooseHead, nextToggle, shownHeads } from "./head-choice";
import { headNumber } from "./layers";
import { relevantControls } from "./relevant";
import { follow, type Shell } from "./shell";

export function createHeadControl(shell: Shell): HTMLElement {
  const { store } = shell;
  const toolbar = element("div", { class: "attn-heads", role: "toolbar", "aria-label": "Heads" });
  const mean = toggle("Mean", { title: "The mean over the selected heads (m)" }, (on) => store.select({ meanHeads: on }));
  const all = button("All", { title: "All heads (a)" }, () => selectAllHeads(shell));
  const label = element("span", { class: "attn-label attn-lead", "aria-hidden": "true" }, "Heads");
  const control = element("div", { class: "attn-head-control" }, label, all, mean.element, toolbar);
  let toggles: readonly HTMLButtonElement[] = [];
  let shownFor = "";

  function update(): void {
    const layer = shell.context.layer();
    const relevant = relevantControls(store.selection, shell.trace, layer);
    control.hidden = !relevant.heads;
    mean.element.hidden = !relevant.meanHeads;
    mean.set(store.selection.meanHeads);
    all.hidden = !relevant.severalHeads;
    all.disabled = store.selection.heads.length === layer.heads.length;
    const numbers = layer.heads.join();
    if (numbers !== shownFor) {
      shownFor = numbers;
      toggles = layer.heads.map((_, head) => createToggle(shell, head));
      refill(toolbar, ...toggles);
    }
    toggles.forEach((made, head) => mark(shell, made, head));
  }
  toolbar.addEventListener("keydown", (event) => moveOrAdd(shell, event, toggles));
  follow(shell, update);
  shell.onTheme(update);
  return control;
}

export function selectAllHeads(shell: Shell): void {
  if (!severalHeads(shell)) return;
  shell.store.select({ heads: shell.context.layer().heads.map((_, head) => head) });
}

function severalHeads(shell: Shell): boolean {
  return relevantControls(shell.store.selection, shell.trace, shell.context.layer()).severalHeads;
}

function choose(shell: Shell, head: number, add: boolean): void {
  shell.store.select({ heads: chooseHead(shell.store.selection.heads, head, add && severalHeads(shell)) });
}

function createToggle(shell: Shell, head: number): HTMLButtonElement {
  const number = headNumber(shell.context.layer(), head);
  const attributes = { class: "attn-head attn-number", "aria-label": `Head ${number}`, title: toggleHelp(number) };
  const made = button(String(number), attributes, (event) => {
    choose(shell, head, event.shiftKey || event.ctrlKey || event.metaKey);
  });
  made.addEventListener("dblclick", () => selectAllHeads(shell));
  return made;
}

function toggleHelp(number: number): string {
  return `Head ${number}: click for this head only, Shift+Click to add it or take it away, double-click for all`;
}

/** One toggle takes the Tab key; arrow keys go on from there. */
function mark(shell: Shell, made: HTMLButtonElement, head: number): void {
  const heads = shownHeads(shell.store.selection);
  const total = shell.context.layer().heads.length;
  const { meanHeads } = shell.store.selection;
  const colours = shell.context.colours();
  // Heads that are drawn as their mean have no line of their own colour.
  const mean = meanHeads && heads.length > 1 && relevantControls(shell.store.selection, shell.trace, shell.context.layer()).meanHeads;
  made.style.setProperty("--attn-head", mean ? colours.mean : colours.head(head, total));
  setAttributes(made, { "aria-pressed": String(heads.includes(head)), tabindex: heads[0] === head ? 0 : -1 });
}

function moveOrAdd(shell: Shell, event: KeyboardEvent, toggles: readonly HTMLButtonElement[]): void {
  const head = toggles.findIndex((made) => made === event.target);
  if (head === -1) return;
  // Browsers differ in whether a key's click carries Shift, so it is done here.
  if ((event.key === " " || event.key === "Enter") && (event.shiftKey || event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    choose(shell, head, true);
    return;
  }
  const next = nextToggle(event.key, head, toggles.length);
  if (next === null) return;
  event.preventDefault();
  toggles[next]?.focus();
}
