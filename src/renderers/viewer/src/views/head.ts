/** The head view: the tokens that attend on the left, the tokens that are attended on the right, lines between them. */

import type { TokenColumn } from "../draw/token-column";
import type { Selection } from "../state/selection";
import { HeadAhead } from "./head-ahead";
import { hasEdge, rowOnEdge } from "./head-edges";
import { createElements, nameElements, type HeadElements } from "./head-elements";
import { EDGE_WIDTH } from "./head-layout";
import { HEAD_HELP, HeadKeys, type KeyActions, type KeyColumn, type Side } from "./head-keys";
import { measureShown } from "./head-levels";
import { columnTokens, listingOf, rowOf, type Listing } from "./head-listing";
import { matchesIn, NO_MATCHES } from "./head-matches";
import { FULL_BUDGET, HeadPainter, MOVING_BUDGET } from "./head-painter";
import { followPointer, type PointerActions, type PointerWatch } from "./head-pointer";
import { HeadScroll } from "./head-scroll";
import { headSvg } from "./head-svg";
import { HeadTooltip } from "./head-tooltip";
import { HeadWeights } from "./head-weights";
import { announcement, headingsOf, shortHeadings } from "./head-words";
import type { View, ViewContext } from "./view";

export function createHeadView(): View {
  let view: HeadView | null = null;
  return {
    name: "head",
    title: "Head",
    help: HEAD_HELP,
    mount(host, context) {
      view = new HeadView(host, context);
    },
    redraw: () => view?.redraw(),
    unmount() {
      view?.destroy();
      view = null;
    },
    toSvg: () => (view === null ? Promise.reject(new Error("the head view is not shown")) : view.toSvg()),
  };
}

type Pins = Pick<Selection, "query" | "key">;
const UNPINNED: Pins = { query: null, key: null };
/** A change of these means other numbers; of any other field, another picture of the same numbers. */
const NEW_NUMBERS: readonly (keyof Selection)[] = ["layer", "heads", "item", "meanHeads", "meanLayers", "special", "sink", "pair"];
/** A slow source is shown bit by bit, but not more often than this. */
const PARTS_MS = 80;
/** After this long without scrolling the faint lines are drawn too. */
const SETTLE_MS = 140;
/** Narrower views have short headings. */
const ROOM_FOR_NAMES = 560;

class HeadView {
  private readonly weights: HeadWeights;
  private readonly painter: HeadPainter;
  private readonly elements: HeadElements;
  private readonly scroll: HeadScroll;
  private readonly keys: HeadKeys;
  private readonly tooltip: HeadTooltip;
  private readonly pointer: PointerWatch;
  private readonly ahead: HeadAhead;
  private readonly stops: readonly (() => void)[];
  private listing: Listing = listingOf([], []);
  private matches = NO_MATCHES;
  private ticket = 0;
  private parts: ReturnType<typeof setTimeout> | undefined;
  private settling: ReturnType<typeof setTimeout> | undefined;

  constructor(
    host: HTMLElement,
    private readonly context: ViewContext,
  ) {
    const { store } = context;
    this.weights = new HeadWeights(context.reader);
    this.painter = new HeadPainter(context, this.weights);
    this.ahead = new HeadAhead(context);
    this.elements = createElements([this.painter.picture.canvas, this.painter.stressed.canvas]);
    this.scroll = new HeadScroll(this.elements);
    this.tooltip = new HeadTooltip(context, this.elements, this.painter, this.weights);
    const { queries, keys, scroller } = this.elements;
    const page = (): number => Math.max(1, Math.floor(queries.size.height / queries.size.rowHeight) - 1);
    const columnKeys = (column: TokenColumn): KeyColumn => ({ element: column.element, count: () => column.count, page });
    this.keys = new HeadKeys({ query: columnKeys(queries), key: columnKeys(keys) }, this.keyActions());
    host.append(this.elements.root);
    const onScroll = (): void => this.onScroll();
    scroller.addEventListener("scroll", onScroll, { passive: true });
    this.pointer = followPointer(this.elements, this.pointerActions());
    this.stops = [
      store.onSelection((next, before) => this.onSelection(next, before)),
      store.onFocus(() => this.paint()),
      () => this.pointer.stop(),
      () => scroller.removeEventListener("scroll", onScroll),
      () => this.keys.destroy(),
    ];
    this.load(UNPINNED);
  }

  redraw(): void {
    this.scroll.fit(this.listing);
    if (this.nameColumns()) this.scroll.fit(this.listing);
    this.track(this.fetch());
  }

  destroy(): void {
    this.ticket += 1;
    clearTimeout(this.parts);
    clearTimeout(this.settling);
    this.ahead.stop();
    for (const stop of this.stops) stop();
  }

  async toSvg(): Promise<SVGSVGElement> {
    await this.fetch();
    if (this.painter.parts === null) throw new Error("no tokens are left to draw: show more of them, then export again");
    return headSvg(this.painter, this.painter.parts, this.elements, this.context, this.matches);
  }

  private onSelection(next: Selection, before: Selection): void {
    if (NEW_NUMBERS.some((field) => next[field] !== before[field])) {
      this.load(before);
      return;
    }
    if (next.search !== before.search) this.matches = matchesIn(this.context, this.listing);
    this.revealPins(next, before);
    this.track(this.fetch());
  }

  /** Other numbers or other tokens: the old picture stays until the first of the new ones have come. */
  private load(before: Pins): void {
    const { context, elements } = this;
    const { selection } = context.store;
    this.ticket += 1;
    this.listing = listingOf(context.reader.queries(), context.reader.keys());
    this.weights.reset(selection.item, this.listing.queryRange, this.listing.keyRange);
    if (this.explainEmpty()) return;
    const names = headingsOf(context);
    const changed = [
      this.nameColumns(),
      elements.queries.setTokens(columnTokens(context.queryAxis(), selection.item, this.listing.queries), names.query),
      elements.keys.setTokens(columnTokens(context.keyAxis(), selection.item, this.listing.keys), names.key),
    ];
    if (changed.includes(true)) {
      this.keys.forget();
      this.scroll.fit(this.listing);
    }
    this.matches = matchesIn(context, this.listing);
    this.revealPins(selection, before);
    const start = performance.now();
    this.track(this.fetch().then(() => this.ahead.plan(this.listing, performance.now() - start)));
  }

  /** Returns whether the names are other ones than before. */
  private nameColumns(): boolean {
    const narrow = (this.scroll.layout.width || this.elements.root.clientWidth) < ROOM_FOR_NAMES;
    return nameElements(this.elements, narrow ? shortHeadings(this.context) : headingsOf(this.context));
  }

  /** Paints when all that is in the window has come; before that what there is, where it takes long. */
  private async fetch(): Promise<void> {
    const { ticket } = this;
    await this.weights.load(this.needed("query"), this.needed("key"), () => this.paintSoon());
    if (ticket !== this.ticket) return;
    measureShown(this.context.threshold, this.weights, this.listing);
    this.paint();
  }

  private paintSoon(): void {
    this.parts ??= setTimeout(() => this.paint(), PARTS_MS);
  }

  private paint(budget = FULL_BUDGET): void {
    clearTimeout(this.parts);
    this.parts = undefined;
    if (this.elements.root.hidden) return;
    this.painter.paint(this.elements, this.scroll, this.listing, this.matches, (side) => this.keys.cursor(side), budget);
  }

  private onScroll(): void {
    this.scroll.move();
    this.tooltip.hide();
    this.paint(MOVING_BUDGET);
    this.track(this.weights.load(this.needed("query"), this.needed("key"), () => this.paintSoon()));
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.track(this.fetch().then(() => this.pointer.again())), SETTLE_MS);
  }

  /** Positions whose weights the picture needs: those in the window, and those pointed at or pinned. */
  private needed(side: Side): number[] {
    const { selection, focus } = this.context.store;
    const positions = side === "query" ? this.listing.queries : this.listing.keys;
    const { first, last } = this.column(side).visible;
    const single = side === "query" ? [selection.query, focus.query] : [selection.key, focus.key];
    const row = side === "query" ? this.listing.queryRow : this.listing.keyRow;
    return [...positions.slice(first, last), ...single.filter((position) => position !== null && rowOf(row, position) !== null)] as number[];
  }

  /** A pin that has just been set, by a search or a link for example, is brought into the window. */
  private revealPins(next: Pins, before: Pins): void {
    const { listing, elements } = this;
    const query = next.query === before.query ? null : rowOf(listing.queryRow, next.query);
    const key = next.key === before.key ? null : rowOf(listing.keyRow, next.key);
    // Both columns have one scroll bar: where not both are seen at once, the query is.
    if (key !== null) this.scroll.goTo(elements.keys, key);
    if (query !== null) this.scroll.goTo(elements.queries, query);
  }

  private explainEmpty(): boolean {
    const { queries, keys } = this.listing;
    const empty = queries.length === 0 || keys.length === 0;
    this.elements.root.hidden = empty;
    if (!empty) {
      this.context.explain("");
      return false;
    }
    this.painter.parts = null;
    const what = queries.length === 0 ? "attending" : "attended";
    this.context.explain(`No ${what} token is left to show: all are padding, hidden or filtered out. Show special tokens or choose "all" for the sentence pair.`);
    return true;
  }

  private keyActions(): KeyActions {
    const { context } = this;
    return {
      arrive: (side, row) => {
        this.scroll.reveal(this.column(side), row);
        context.tooltip.hide();
        this.point(side, row);
        this.track(this.fetch().then(() => this.announce()));
      },
      pin: (side, row) => this.pin(side, row),
      leave: () => context.store.point({}),
      firstRow: (side) => {
        const { selection } = context.store;
        const { queryRow, keyRow } = this.listing;
        const pinned = side === "query" ? rowOf(queryRow, selection.query) : rowOf(keyRow, selection.key);
        return pinned ?? this.column(side).visible.first;
      },
    };
  }

  private pointerActions(): PointerActions {
    return {
      point: (side, row, event) => {
        if (row === null) return this.leave();
        this.keys.moveTo(side, row);
        this.point(side, row);
        this.tooltip.atToken(side, row, this.listing, event);
      },
      pin: (side, row) => this.pin(side, row),
      between: (x, y, event, pressed) => {
        const pair = this.tooltip.atLine(x, y, this.listing, event);
        const { queries, keys } = this.listing;
        if (pressed) this.context.store.select({ query: pair === null ? null : (queries[pair.query] ?? null), key: pair === null ? null : (keys[pair.key] ?? null) });
      },
      edge: (x, y) => this.goToEdge(x, y),
      leave: () => this.leave(),
    };
  }

  private leave(): void {
    this.tooltip.hide();
    this.context.store.point({});
  }

  private goToEdge(x: number, y: number): boolean {
    const { width } = this.scroll.layout;
    const column = x < EDGE_WIDTH ? this.elements.queries : x > width - EDGE_WIDTH ? this.elements.keys : null;
    if (column === null || !hasEdge(column.size)) return false;
    this.scroll.centre(column, rowOnEdge(column.size, y));
    return true;
  }

  private point(side: Side, row: number): void {
    const { queries, keys } = this.listing;
    this.context.store.point(side === "query" ? { query: queries[row] ?? null } : { key: keys[row] ?? null });
  }

  /** Pins a token, or takes the pin away when it is that token's. */
  private pin(side: Side, row: number): void {
    const { store } = this.context;
    const position = (side === "query" ? this.listing.queries : this.listing.keys)[row] ?? null;
    const pinned = store.selection[side];
    store.select({ [side]: pinned === position ? null : position });
  }

  private announce(): void {
    const figures = this.painter.parts?.figures ?? null;
    const other = figures?.kind === "query" ? this.elements.keys : this.elements.queries;
    this.context.announce(announcement(this.context, figures, (row) => other.token(row)));
  }

  private column(side: Side): TokenColumn {
    return side === "query" ? this.elements.queries : this.elements.keys;
  }

  private track(work: Promise<unknown>): void {
    this.context.drawing(work.catch((error: unknown) => this.context.fail(error)));
  }
}
