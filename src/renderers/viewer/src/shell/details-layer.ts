/** What is known of a layer and its heads. */

import { formatFigure, formatPercent } from "../data/format";
import type { AxisInfo, LayerInfo, ScoringInfo, StatisticsInfo, TraceInfo } from "../source/trace-info";
import { layerName } from "../views/model-words";
import { swatch } from "./bars";
import { button, element } from "./dom";
import { distanceUnit, headNumber } from "./layers";
import { relevantControls } from "./relevant";
import type { Shell } from "./shell";

export function layerSection(trace: TraceInfo, layer: LayerInfo): HTMLElement {
  const facts: (readonly [string, string])[] = [
    ["Kind", [layer.kind === "cross" ? "cross-attention" : "self-attention", layer.stack].filter(Boolean).join(", ")],
    ["From", layer.source],
    ["Weights", layer.computed === "observed" ? "observed in the run" : "computed from query and key"],
    ...(layer.call > 0 ? [["Call", String(layer.call)] as const] : []),
    ...(layer.scoring === null ? [] : scoringFacts(layer.scoring)),
  ];
  const name = element("div", { class: "attn-layer-path", title: layer.name }, element("bdi", {}, layer.name));
  const section = element("section", { class: "attn-section", "aria-label": "Layer" });
  section.append(element("h3", {}, layerName(trace, trace.layers.indexOf(layer))), name, factList(facts));
  for (const note of layer.notes) section.append(element("p", { class: "attn-note" }, note));
  return section;
}

export function factList(facts: readonly (readonly [string, string])[]): HTMLElement {
  const list = element("dl", { class: "attn-facts" });
  for (const [label, value] of facts) list.append(element("dt", {}, label), element("dd", {}, value));
  return list;
}

/** What the scores are made of, in words. */
export function scoringFacts(scoring: ScoringInfo): (readonly [string, string])[] {
  const parts: (readonly [string, string])[] = [["Scale", `q·k × ${Number(scoring.scale.toPrecision(4))}`]];
  if (scoring.softcap !== null) parts.push(["Softcap", String(scoring.softcap)]);
  if (scoring.bias) parts.push(["Bias", scoring.biasHeld ? "added to the scores" : "added to the scores, not held here"]);
  const masks = [
    scoring.causal ? "causal" : "",
    scoring.window === null ? "" : `window of ${scoring.window}`,
    scoring.mask ? "one given with the input" : "",
  ].filter((word) => word !== "");
  if (masks.length > 0) parts.push(["Mask", masks.join(", ")]);
  if (scoring.sinks !== null) parts.push(["Sinks", "one learned score a head, without a token"]);
  return parts;
}

/** One row a head. `pointed` is drawn out; `heads` are places in the layer. */
export function headsSection(shell: Shell, layer: LayerInfo, heads: readonly number[], pointed: number | null): HTMLElement {
  const { item } = shell.store.selection;
  const kept = layer.kept?.[item];
  const names = ["Head", "Entropy", "Distance", "Pattern", "Share", ...(kept === undefined ? [] : ["Kept"])];
  const columns = names.map((name) => column(name, meaningOf(name, shell.trace.axes[layer.keyAxis])));
  const body = element("tbody");
  for (const head of heads) body.append(headRow(shell, layer, head, head === pointed));
  const table = element("table", { class: kept === undefined ? "attn-table" : "attn-table attn-table-wide" }, element("thead", {}, element("tr", {}, ...columns)), body);
  const note = figuresNote(shell, layer);
  return element("section", { class: "attn-section", "aria-label": "Heads" }, table, note === "" ? null : element("p", { class: "attn-muted attn-small" }, note));
}

/** The figures are of whole rows of one layer: said where the view shows something else. */
function figuresNote(shell: Shell, layer: LayerInfo): string {
  const { view, pair, special, sink, meanLayers } = shell.store.selection;
  if (view === "neuron") return "";
  const filtered = special !== "show" || sink !== "show" || (pair !== "all" && relevantControls(shell.store.selection, shell.trace, layer).pairs);
  const whose = meanLayers && view !== "model" ? `of ${layerName(shell.trace, shell.trace.layers.indexOf(layer)).toLowerCase()} alone` : "";
  const what = filtered ? "over all tokens, whatever is filtered" : "";
  return whose === "" && what === "" ? "" : `These figures are ${[whose, what].filter(Boolean).join(", ")}.`;
}

const MEANINGS: Readonly<Record<string, string>> = {
  Entropy: "Mean entropy of a query's weights, in bits: 0 when all goes to one token",
  Distance: "Mean distance to what is attended to, in",
  Pattern: "What the head does most",
  Share: "The share of its attention that does it",
  Kept: "Share of the head's attention that this page holds",
};

function meaningOf(name: string, axis: AxisInfo | undefined): string | null {
  const meaning = MEANINGS[name] ?? null;
  return name === "Distance" ? `${meaning} ${distanceUnit(axis)}` : meaning;
}

function column(name: string, title: string | null): HTMLElement {
  return element("th", { scope: "col", title, "data-number": !["Head", "Pattern"].includes(name) }, name);
}

function headRow(shell: Shell, layer: LayerInfo, head: number, pointed: boolean): HTMLElement {
  const { item } = shell.store.selection;
  const figures = layer.statistics[item];
  const kept = layer.kept?.[item];
  const colour = shell.context.colours().head(head, layer.heads.length);
  const number = headNumber(layer, head);
  const open = button(String(number), { class: "attn-head-link attn-number", title: `Head ${number}: show this head alone`, "aria-label": `Show head ${number} alone` }, () => {
    const { view } = shell.store.selection;
    shell.store.select({ layer: shell.trace.layers.indexOf(layer), heads: [head], view: view === "model" ? "head" : view });
  });
  const name = element("th", { scope: "row", class: "attn-number" }, swatch(colour), open);
  const row = element("tr", { class: pointed ? "attn-pointed" : null }, name);
  row.append(figure(formatFigure(figures?.entropy[head], 2)), figure(formatFigure(figures?.distance[head], 1)));
  row.append(...patternCells(figures, head));
  if (kept !== undefined) row.append(figure(formatPercent(kept[head] ?? null)));
  return row;
}

function figure(text: string): HTMLElement {
  return element("td", { class: "attn-number" }, text);
}

function patternCells(figures: StatisticsInfo | undefined, head: number): HTMLElement[] {
  const share = figures?.patternShare[head] ?? null;
  return [
    element("td", { class: "attn-pattern" }, figures?.pattern[head] ?? "–"),
    element("td", { class: "attn-number attn-muted" }, share === null ? "" : formatPercent(share)),
  ];
}
