/** The selection in a link: the fragment names only what differs from what the page opens with. */

import type { TraceInfo } from "../source/trace-info";
import { firstSelection, isView } from "./first";
import { legal } from "./legal";
import type { Selection } from "./selection";

const CHOICES = {
  special: ["show", "discount", "hide"],
  sink: ["show", "discount", "hide"],
  pair: ["all", "AA", "AB", "BA", "BB"],
  scale: ["linear", "log"],
  sort: ["position", "query", "key"],
  order: ["number", "entropy", "distance", "maxWeight", "pattern"],
  modelScale: ["root", "linear", "log"],
  theme: ["auto", "light", "dark"],
} as const;

export function toFragment(selection: Selection, trace: TraceInfo): string {
  const first = firstSelection(trace);
  const parts = new URLSearchParams();
  for (const name of Object.keys(selection) as (keyof Selection)[]) {
    const text = written(selection[name]);
    if (text !== written(first[name])) parts.set(name, text);
  }
  const fragment = parts.toString();
  // Commas need no escape in a fragment, and lists of heads read better with them.
  return fragment === "" ? "" : `#${fragment.replaceAll("%2C", ",")}`;
}

function written(value: Selection[keyof Selection]): string {
  if (Array.isArray(value)) return value.join(",");
  return value === null ? "none" : String(value);
}

/** What a fragment says, as far as it makes sense for this trace; the rest of it is ignored. */
export function fromFragment(fragment: string, trace: TraceInfo): Partial<Selection> {
  const parts = new URLSearchParams(fragment.replace(/^#/, ""));
  const said: Record<string, unknown> = {};
  const view = parts.get("view");
  if (isView(view)) said["view"] = view;
  for (const name of ["layer", "item"] as const) keep(said, name, whole(parts.get(name)));
  for (const name of ["query", "key", "shown"] as const) {
    if (parts.get(name) === "none") said[name] = null;
    else keep(said, name, whole(parts.get(name)));
  }
  for (const name of ["heads", "window"] as const) {
    const numbers = parts.get(name)?.split(",").map(whole);
    if (numbers?.every((number) => number !== undefined)) said[name] = numbers;
  }
  for (const name of ["meanHeads", "meanLayers", "descending", "ranked", "only"] as const) {
    const value = parts.get(name);
    if (value === "true" || value === "false") said[name] = value === "true";
  }
  const threshold = Number(parts.get("threshold") ?? NaN);
  if (Number.isFinite(threshold)) said["threshold"] = threshold;
  for (const [name, choices] of Object.entries(CHOICES)) {
    keep(said, name, choices.find((choice) => choice === parts.get(name)));
  }
  for (const name of ["pattern", "search"] as const) keep(said, name, parts.get(name) ?? undefined);
  return onlyLegal(said as Partial<Selection>, trace);
}

function whole(text: string | null): number | undefined {
  return text !== null && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

function keep(said: Record<string, unknown>, name: string, value: unknown): void {
  if (value !== undefined) said[name] = value;
}

function onlyLegal(said: Partial<Selection>, trace: TraceInfo): Partial<Selection> {
  const right = legal({ ...firstSelection(trace), ...said }, trace);
  return Object.fromEntries(Object.keys(said).map((name) => [name, right[name as keyof Selection]]));
}
