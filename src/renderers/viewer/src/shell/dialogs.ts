/** The page's dialogs. The browser's own <dialog> keeps the focus inside, closes with Esc and gives the focus back. */

import { precisionText } from "../data/precision";
import type { CoverageInfo } from "../source/trace-info";
import type { KeyHelp } from "../views/view";
import { factList } from "./details-layer";
import { button, element, freshId, type Child } from "./dom";
import { iconButton } from "./fields";
import { plural } from "./layers";
import { keyCaps, SHELL_KEYS } from "./keys";
import type { Shell } from "./shell";

/** Shows a dialog once; it is taken out of the page when closed. */
export function openDialog(shell: Shell, title: string, ...content: readonly Child[]): HTMLDialogElement {
  const id = freshId("dialog");
  const close = iconButton("close", "Close", () => dialog.close());
  const head = element("div", { class: "attn-dialog-head" }, element("h2", { id }, title), close);
  const body = element("div", { class: "attn-dialog-body", tabindex: 0, role: "group", "aria-labelledby": id }, ...content);
  const dialog = element("dialog", { class: "attn-dialog", "aria-labelledby": id }, head, body);
  dialog.addEventListener("close", () => dialog.remove());
  // A press on the backdrop has the dialog itself as its target.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  shell.root.append(dialog);
  dialog.showModal();
  return dialog;
}

export function openHelp(shell: Shell): void {
  const view = shell.view();
  openDialog(
    shell,
    "Keys",
    keyTable(`${view.title} view`, view.help),
    keyTable("Everywhere", SHELL_KEYS),
  );
}

function keyTable(title: string, keys: readonly KeyHelp[]): HTMLElement {
  const list = element("dl", { class: "attn-keys" });
  for (const help of keys) {
    const caps = keyCaps(help.keys).map(({ key, text }) => (key ? element("kbd", {}, text) : element("span", { class: "attn-muted" }, text)));
    list.append(element("dt", {}, ...caps.flatMap((cap, place) => [place === 0 ? null : " ", cap])), element("dd", {}, help.does));
  }
  return element("section", { class: "attn-section" }, element("h3", {}, title), list);
}

const STATUS: Record<CoverageInfo["status"], string> = {
  "no-attention": "no softmax attention",
  rejected: "looked at, is not attention",
  opaque: "could not be looked into",
  uncertain: "uncertain",
};

/** Where the trace comes from, how exact it is, and what ran without being shown. */
export function openAbout(shell: Shell): void {
  const { facts, precision, coverage, model } = shell.trace;
  openDialog(
    shell,
    model === "" ? "About this trace" : model,
    factList([...facts, ["Precision", precisionText(precision)]]),
    element("h3", {}, "What ran and is not shown"),
    coverage.length === 0 ? element("p", { class: "attn-muted" }, "Nothing: every layer that ran is here.") : coverageTable(coverage),
  );
}

function coverageTable(coverage: readonly CoverageInfo[]): HTMLElement {
  const head = element("tr", {}, ...["Module", "What", "Status", "Why"].map((name) => element("th", { scope: "col" }, name)));
  const rows = coverage.map((entry) => {
    const name = entry.count > 1 ? `${entry.name} (${plural(entry.count, "time")})` : entry.name;
    return element("tr", {}, ...[name, entry.what, STATUS[entry.status], entry.reason].map((text) => element("td", {}, text)));
  });
  return element("table", { class: "attn-table attn-coverage" }, element("thead", {}, head), element("tbody", {}, ...rows));
}

/** For when the clipboard is refused: the link, ready to be copied by hand. */
export function openLink(shell: Shell, link: string): void {
  const field = element("input", { type: "text", class: "attn-input", readonly: true, value: link, "aria-label": "Link" });
  const select = button("Select", {}, () => field.select());
  const dialog = openDialog(
    shell,
    "Copy this link",
    element("p", {}, "The browser does not let this page write to the clipboard. Copy the link from here:"),
    element("div", { class: "attn-row" }, field, select),
  );
  dialog.classList.add("attn-dialog-small");
  field.focus();
  field.select();
}
