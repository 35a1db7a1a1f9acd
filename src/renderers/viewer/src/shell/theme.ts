/** Light or dark: what was chosen, or what the person's system prefers, followed while the page is open. */

import { coloursFor, type Colours } from "../draw/colours";
import type { Selection } from "../state/selection";

export type Theme = Selection["theme"];

const ORDER: readonly Theme[] = ["auto", "light", "dark"];

export function isDark(theme: Theme, systemIsDark: boolean): boolean {
  return theme === "auto" ? systemIsDark : theme === "dark";
}

export function nextTheme(theme: Theme): Theme {
  return ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length] ?? "auto";
}

export class ThemeSwitch {
  private readonly system = window.matchMedia("(prefers-color-scheme: dark)");
  private theme: Theme = "auto";
  private current: Colours;
  private readonly onSystem = (): void => this.apply(this.theme);

  /** `onChange` is called when light has become dark or the other way round. */
  constructor(
    private readonly root: HTMLElement,
    private readonly onChange: () => void,
  ) {
    this.current = coloursFor(this.system.matches);
    writeColours(root, this.current);
    this.system.addEventListener("change", this.onSystem);
  }

  get colours(): Colours {
    return this.current;
  }

  apply(theme: Theme): void {
    this.theme = theme;
    const dark = isDark(theme, this.system.matches);
    if (this.current.dark === dark) return;
    this.current = coloursFor(dark);
    writeColours(this.root, this.current);
    this.onChange();
  }

  destroy(): void {
    this.system.removeEventListener("change", this.onSystem);
  }
}

/** The colours as CSS variables, so that style sheets and drawings never differ. */
function writeColours(root: HTMLElement, colours: Colours): void {
  root.dataset["theme"] = colours.dark ? "dark" : "light";
  const names = ["background", "surface", "text", "muted", "line", "accent"] as const;
  for (const name of names) root.style.setProperty(`--attn-${name}`, colours[name]);
}
