/** The menu for what can be taken away from the page: a picture of the view, or a link to what is selected. */

import { element } from "./dom";
import { openLink } from "./dialogs";
import { download, fileName, pngOf, svgText } from "./export-file";
import { iconButton } from "./fields";
import { nextToggle } from "./head-choice";
import { groupOf, headNumber } from "./layers";
import { linkTo } from "./link";
import { popupFor } from "./popup";
import { describe } from "./messages";
import type { Shell } from "./shell";
import { shownSeries } from "./shown-series";

export interface ExportMenu {
  readonly button: HTMLElement;
  readonly popup: HTMLElement;
  open(): void;
}

export function createExportMenu(shell: Shell): ExportMenu {
  const opener = iconButton("download", "Export (e)", () => undefined);
  const popup = popupFor(opener, "Export", "menu");
  const entry = (label: string, work: () => Promise<void>): HTMLButtonElement => {
    const made = element("button", { type: "button", class: "attn-menu-item", role: "menuitem", tabindex: -1 }, label);
    made.addEventListener("click", () => {
      popup.close();
      shell.context.drawing(work().catch((error: unknown) => shell.messages.say(`Not exported: ${describe(error)}`)));
    });
    return made;
  };
  const entries = [entry("Save as SVG", () => saveSvg(shell)), entry("Save as PNG", () => savePng(shell))];
  if (linkTo(shell) !== null) entries.push(entry("Copy link to this", () => copyLink(shell)));
  popup.element.append(...entries);
  popup.element.addEventListener("keydown", (event) => {
    const next = nextToggle(event.key, entries.findIndex((made) => made === event.target), entries.length);
    if (next === null) return;
    event.preventDefault();
    entries[next]?.focus();
  });
  shell.onDestroy(popup.close);
  return { button: opener, popup: popup.element, open: popup.open };
}

function nameOfPicture(shell: Shell, ending: string): string {
  const { view } = shell.store.selection;
  const averaged = view === "neuron" ? 1 : (shell.reader.series()[0]?.layers.length ?? 1);
  const which = averaged > 1 ? `mean-of-${averaged}-layers` : `layer-${shell.context.layer().index}`;
  const group = groupOf(shell.trace, shell.store.selection.layer).name;
  const parts = view === "model" ? [group] : [group, which, headsOfPicture(shell)];
  return fileName([shell.trace.model, view, ...parts], ending);
}

/** The one head, or how many are averaged; nothing where several are drawn. */
function headsOfPicture(shell: Shell): string {
  const [only, another] = shownSeries(shell.store.selection, shell.reader);
  if (only === undefined || another !== undefined) return "";
  const { heads } = only;
  return heads.length > 1 ? `mean-of-${heads.length}-heads` : `head-${headNumber(shell.context.layer(), heads[0] ?? 0)}`;
}

async function saveSvg(shell: Shell): Promise<void> {
  const picture = await shell.view().toSvg();
  const name = nameOfPicture(shell, "svg");
  download(new Blob([svgText(picture)], { type: "image/svg+xml" }), name);
  shell.messages.say(`Saved ${name}`);
}

async function savePng(shell: Shell): Promise<void> {
  const blob = await pngOf(await shell.view().toSvg());
  const name = nameOfPicture(shell, "png");
  download(blob, name);
  shell.messages.say(`Saved ${name}`);
}

async function copyLink(shell: Shell): Promise<void> {
  const link = linkTo(shell) ?? "";
  try {
    await navigator.clipboard.writeText(link);
    shell.messages.say("Link copied");
  } catch {
    openLink(shell, link);
  }
}
