/** The neuron view: how one head gets from a query's and the keys' vectors to its weights, number by number. */

import { precisionText } from "../data/precision";
import { matchingPositions } from "../data/search";
import { labelOf, shortened } from "../data/tokens";
import { isolated } from "../draw/rulers";
import type { AxisInfo } from "../source/trace-info";
import type { Selection } from "../state/selection";
import { button, element } from "../shell/dom";
import { byWeight } from "./matrix-order";
import { layerName } from "./model-words";
import { byContribution } from "./neuron-arithmetic";
import { formulaOf, stepsOf, type BiasUse, type Step } from "./neuron-columns";
import { keyVector, readNeuron, type NeuronData } from "./neuron-data";
import { createNeuronElements, drawNeuronLegend, type DimensionOrder, type KeyOrder, type NeuronElements } from "./neuron-elements";
import { exportNeuron } from "./neuron-export";
import { NeuronInput, NEURON_HELP } from "./neuron-input";
import { QueryList } from "./neuron-list";
import { NeuronTable } from "./neuron-table";
import { arithmeticNotes, defaultQuery, layersWithVectors, NOTHING_LISTED, whyNoVectors } from "./neuron-words";
import type { View, ViewContext } from "./view";

export function createNeuronView(): View {
  let view: NeuronView | null = null;
  return {
    name: "neuron",
    title: "Neuron",
    help: NEURON_HELP,
    mount(host, context) {
      view = new NeuronView(host, context);
    },
    redraw: () => view?.redraw(),
    unmount() {
      view?.destroy();
      view = null;
    },
    toSvg: () => (view === null ? Promise.reject(new Error("the neuron view is not shown")) : view.toSvg()),
  };
}

class NeuronView {
  private readonly elements: NeuronElements;
  private readonly list: QueryList;
  private readonly stops: readonly (() => void)[];
  private table: NeuronTable | null = null;
  private input: NeuronInput | null = null;
  private data: NeuronData | null = null;
  private dimensionOrder: DimensionOrder = "model";
  private keyOrder: KeyOrder = "position";
  private ticket = 0;
  /** The model adds something to a score of this layer that was seen. */
  private biased = false;
  /** The query's row has not been scrolled to yet. */
  private unseen = true;
  /** What `data` was, or is being, read for. */
  private wanted = "";

  constructor(
    host: HTMLElement,
    private readonly context: ViewContext,
  ) {
    const { store } = context;
    this.elements = createNeuronElements({
      stepHead: (by) => this.stepHead(by),
      orderDimensions: (order) => {
        this.dimensionOrder = order;
        this.show();
      },
      orderKeys: (order) => {
        this.keyOrder = order;
        this.show();
      },
    });
    this.list = new QueryList({
      choose: (query) => store.select({ query }),
      point: (query) => store.point(query === null ? {} : { query }),
    });
    this.elements.dimensions.set(this.dimensionOrder);
    this.elements.keys.set(this.keyOrder);
    host.append(this.elements.root);
    this.stops = [store.onSelection((next, before) => this.onSelection(next, before)), store.onFocus(() => this.onFocus())];
    this.build();
  }

  redraw(): void {
    this.list.draw(true);
    this.table?.layOut();
    this.show();
  }

  destroy(): void {
    this.ticket += 1;
    for (const stop of this.stops) stop();
    this.input?.stop();
  }

  async toSvg(): Promise<SVGSVGElement> {
    if (this.table?.style === null || this.table === null) throw new Error("there is nothing to export: choose a layer that has query and key vectors, and show some of its tokens");
    const { title, headName, formula, verdict, notes } = this.elements;
    const { trace, store } = this.context;
    const source = `${this.context.layer().name} · ${precisionText(trace.precision)}`;
    const lines = [source, ...[formula, verdict, notes].map((part) => part.textContent ?? "")].filter((line) => line !== "");
    const whose = [trace.model, lowered(layerName(trace, store.selection.layer)), lowered(headName.textContent ?? "")].filter((part) => part !== "");
    const [, what = ""] = (title.textContent ?? "").split(/: (.*)/su);
    return exportNeuron(this.table, this.context.colours(), `${whose.join(", ")}: ${what}`, lines);
  }

  /** For a layer: its table, or why there is none. */
  private build(): void {
    const layer = this.context.layer();
    const { body, root } = this.elements;
    this.data = null;
    this.wanted = "";
    const why = this.whyEmpty();
    root.toggleAttribute("data-empty", why !== "");
    if (why !== "") {
      this.ticket += 1;
      this.takeTableAway();
      this.context.explain(why);
      body.replaceChildren(...(layer.vectors === null ? [this.otherLayers()] : []));
      return;
    }
    this.context.explain("");
    this.biased = false;
    this.makeTable(stepsOf(layer.scoring, this.biasUse()));
    const { item } = this.context.store.selection;
    const axis = this.context.queryAxis();
    this.list.setTokens(this.context.reader.queries(), (query) => labelOf(axis, item, query));
    this.unseen = true;
    this.load();
  }

  private whyEmpty(): string {
    const { context } = this;
    if (context.layer().vectors === null) return whyNoVectors(context.layer());
    return context.reader.queries().length === 0 || context.reader.keys().length === 0 ? NOTHING_LISTED : "";
  }

  private biasUse(): BiasUse {
    const { scoring } = this.context.layer();
    if (scoring === null || !scoring.bias) return "none";
    if (!scoring.biasHeld) return "missing";
    return this.biased ? "added" : "zero";
  }

  /** Layers of one model mostly have the same steps, and then the table stays. True when there is a new one. */
  private makeTable(steps: readonly Step[]): boolean {
    if (this.table?.hasSteps(steps) === true) return false;
    this.takeTableAway();
    this.table = new NeuronTable(this.context, steps);
    this.input = new NeuronInput(this.context, this.table, steps, () => this.mark());
    this.elements.body.replaceChildren(this.list.element, this.table.element);
    return true;
  }

  private takeTableAway(): void {
    this.input?.stop();
    [this.input, this.table] = [null, null];
  }

  private otherLayers(): HTMLElement {
    const { trace, store } = this.context;
    const others = layersWithVectors(trace);
    const buttons = others.map((place) => button(layerName(trace, place), { title: trace.layers[place]?.name ?? null }, () => store.select({ layer: place })));
    // What is said above is all there is to say where no layer has them.
    if (others.length === 0) return element("div", { class: "attn-neuron-others" });
    return element("div", { class: "attn-neuron-others" }, element("p", {}, "Layers with query and key vectors:"), element("div", { class: "attn-neuron-layers" }, ...buttons));
  }

  private onSelection(next: Selection, before: Selection): void {
    if (next.layer !== before.layer || next.item !== before.item) return this.build();
    const listed = (["special", "sink", "pair"] as const).some((field) => next[field] !== before[field]);
    if (listed) return this.build();
    this.load();
    if (next.query !== null && next.query !== before.query) this.list.reveal(next.query);
    if (next.key !== before.key) this.show();
  }

  private onFocus(): void {
    this.load();
    this.mark();
  }

  private head(): number {
    return this.context.store.selection.heads[0] ?? 0;
  }

  private query(): number | null {
    const { focus, selection } = this.context.store;
    const queries = this.context.reader.queries();
    return focus.query ?? selection.query ?? defaultQuery(queries, this.context.queryAxis().special?.[selection.item]);
  }

  private stepHead(by: number): void {
    const count = this.context.layer().heads.length;
    this.context.store.select({ heads: [(this.head() + by + count) % count] });
  }

  /** Reads the numbers for the head and query that are wanted now, unless they are there or on their way. */
  private load(): void {
    const [head, query] = [this.head(), this.query()];
    if (this.table === null || query === null) return;
    const wanted = `${head} ${query}`;
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    const ticket = (this.ticket += 1);
    const work = readNeuron(this.context, head, query).then((data) => {
      if (ticket !== this.ticket) return;
      this.data = data;
      this.show();
    });
    this.context.drawing(
      work.catch((error: unknown) => {
        if (ticket !== this.ticket) return;
        this.wanted = "";
        this.context.fail(error);
      }),
    );
  }

  private show(): void {
    const { data, table, context, elements } = this;
    if (data === null || table === null) return;
    const layer = context.layer();
    const keys = context.reader.keys();
    // Once a layer has shown a bias its column stays, even for a query to which it adds nothing.
    this.biased ||= data.bias?.some((bias) => bias !== 0) === true;
    const bias = this.biasUse();
    if (this.makeTable(stepsOf(layer.scoring, bias))) return this.show();
    const ordered = this.keyOrder === "weight" ? byWeight(keys, (key) => data.row.weights[key] ?? 0) : keys;
    table.show(data, ordered, this.dimensions(data, keys));
    const number = layer.heads[data.head] ?? data.head;
    elements.headName.textContent = `Head ${number}`;
    elements.title.textContent = `${layerName(context.trace, context.store.selection.layer)}: what “${isolated(shortened(table.labelOf(data.query, "query"), 24))}” (${data.query}) attends to, and why`;
    elements.formula.textContent = formulaOf(layer.scoring, bias);
    elements.verdict.textContent = data.verdict.sentence;
    elements.verdict.dataset["kind"] = data.verdict.kind;
    elements.notes.textContent = this.notes(data);
    if (this.unseen) this.list.reveal(data.query);
    this.unseen = false;
    drawNeuronLegend(elements.legend, { vector: data.vectorLimit, product: data.productLimit }, context.colours());
    this.mark();
  }

  private notes(data: NeuronData): string {
    const layer = this.context.layer();
    const notes = arithmeticNotes(layer, data.head, this.biasUse());
    // A warning quotes the layer's notes already.
    if (data.verdict.kind !== "off" && layer.notes.length > 0) notes.push(`On this layer: ${layer.notes.join("; ")}.`);
    return notes.join(" ");
  }

  /** The order of dimensions; by contribution it is that of the pinned key, or of the one with most weight. */
  private dimensions(data: NeuronData, keys: readonly number[]): number[] {
    if (this.dimensionOrder === "model") return [...data.queryVector.keys()];
    const key = this.context.store.selection.key ?? byWeight(keys, (place) => data.row.weights[place] ?? 0)[0] ?? 0;
    return byContribution(data.queryVector, keyVector(data, key));
  }

  private mark(): void {
    const { store } = this.context;
    const { item, query, key, search } = store.selection;
    const found = (axis: AxisInfo): ReadonlySet<number> => new Set(matchingPositions(axis, item, search));
    this.list.mark(this.data?.query ?? null, query, found(this.context.queryAxis()));
    this.table?.mark({ active: store.focus.key, pinned: key, pixel: this.input?.pixel ?? null, found: found(this.context.keyAxis()) });
  }
}

function lowered(sentence: string): string {
  return `${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}`;
}
