/** The top line: whose attention this is, the views, and what can be done with the page. */

import type { ViewName } from "../state/selection";
import { element, refill, setAttributes } from "./dom";
import { iconButton } from "./fields";
import { nextToggle } from "./head-choice";
import { icon, type IconName } from "./icons";
import { lengthOf, sizeOf } from "./layers";
import { follow, type Shell } from "./shell";
import { nextTheme, type Theme } from "./theme";

export interface HeaderActions {
  about(): void;
  help(): void;
  togglePanel(): void;
}

const THEME_ICONS: Record<Theme, IconName> = { auto: "auto", light: "light", dark: "dark" };
const THEME_NAMES: Record<Theme, string> = { auto: "as the system", light: "light", dark: "dark" };

/** `panelId` is the area that the tabs switch. */
export function createHeader(
  shell: Shell,
  panelId: string,
  exportButton: HTMLElement,
  actions: HeaderActions,
): { element: HTMLElement; panelButton: HTMLButtonElement } {
  const panelButton = iconButton("panel", "Details", actions.togglePanel);
  const tools = element(
    "div",
    { class: "attn-tools" },
    exportButton,
    createThemeButton(shell),
    iconButton("help", "Keys and help (?)", actions.help),
    panelButton,
  );
  const header = element(
    "div",
    { class: "attn-header" },
    createTitle(shell, actions.about),
    createTabs(shell, panelId),
    tools,
  );
  return { element: header, panelButton };
}

function createTitle(shell: Shell, about: () => void): HTMLElement {
  const name = shell.trace.model === "" ? "Attention" : shell.trace.model;
  const title = element("button", { type: "button", class: "attn-title-name", title: `${name}: about this trace` }, name);
  title.addEventListener("click", about);
  const size = element("span", { class: "attn-size attn-number" });
  follow(shell, () => {
    size.textContent = `${sizeOf(shell.trace)} × ${lengthOf(shell.context.queryAxis())}`;
  });
  const level = shell.ownPage ? 1 : 2;
  const heading = element("div", { class: "attn-heading", role: "heading", "aria-level": level }, title);
  return element("div", { class: "attn-title" }, heading, size);
}

function createTabs(shell: Shell, panelId: string): HTMLElement {
  const list = element("div", { class: "attn-tabs", role: "tablist", "aria-label": "View" });
  const tabs = shell.views.map((view, place) => {
    const attributes = { type: "button", class: "attn-tab", role: "tab", "aria-controls": panelId };
    const tab = element("button", { ...attributes, title: `${view.title} (${place + 1})` }, view.title);
    tab.addEventListener("click", () => shell.store.select({ view: view.name }));
    list.append(tab);
    return tab;
  });
  list.addEventListener("keydown", (event) => {
    const place = shell.views.findIndex((view) => view.name === shell.store.selection.view);
    const next = nextToggle(event.key, place, tabs.length);
    if (next === null) return;
    event.preventDefault();
    shell.store.select({ view: shell.views[next]?.name ?? shell.store.selection.view });
    tabs[next]?.focus();
  });
  follow(shell, ({ view }) => markTab(shell, tabs, view));
  return list;
}

function markTab(shell: Shell, tabs: readonly HTMLElement[], current: ViewName): void {
  shell.views.forEach((view, place) => {
    const chosen = view.name === current;
    const tab = tabs[place];
    if (tab !== undefined) setAttributes(tab, { "aria-selected": String(chosen), tabindex: chosen ? 0 : -1 });
  });
}

function createThemeButton(shell: Shell): HTMLButtonElement {
  const button = iconButton("auto", "", () => changeTheme(shell));
  follow(shell, ({ theme }) => {
    const label = `Theme: ${THEME_NAMES[theme]} (t)`;
    refill(button, icon(THEME_ICONS[theme]));
    setAttributes(button, { "aria-label": label, title: label });
  });
  return button;
}

export function changeTheme(shell: Shell): void {
  const theme = nextTheme(shell.store.selection.theme);
  shell.store.select({ theme });
  shell.messages.say(`Theme: ${THEME_NAMES[theme]}`);
}
