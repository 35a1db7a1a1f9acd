/** What a view is to the shell: it draws into an element, follows the store, and can be exported. */

import type { Series, WeightsReader } from "../data/reader";
import type { Threshold } from "../data/threshold";
import type { AxisInfo, LayerInfo, TraceInfo } from "../source/trace-info";
import type { ViewName } from "../state/selection";
import type { Store } from "../state/store";
import type { Colours } from "../draw/colours";

export interface KeyHelp {
  /** As printed on the keys: "←", "Shift+Click", "Enter". */
  readonly keys: string;
  readonly does: string;
}

export interface ViewContext {
  readonly store: Store;
  readonly trace: TraceInfo;
  readonly reader: WeightsReader;
  /** Colours of the current theme; ask each time, as the theme may change. */
  colours(): Colours;
  /** The layer that is selected and its axes. */
  layer(): LayerInfo;
  queryAxis(): AxisInfo;
  keyAxis(): AxisInfo;
  /** Weights below it are not drawn: what was chosen, or what suits the weights that are shown. */
  readonly threshold: Threshold;
  /**
   * A weight as text, with no more digits than the source is good for; `most` is what it is at most, where the source
   * left weights out (`mostOf(tile, place)`).
   */
  format(weight: number, most?: number): string;
  /** Text near the pointer; text only, never markup. Rows are label and value. */
  tooltip: {
    show(x: number, y: number, title: string, rows: readonly TooltipRow[]): void;
    hide(): void;
  };
  /** Says something to a screen reader (polite live region). */
  announce(text: string): void;
  /** Shows a sentence where the view cannot draw, with the reason and what to do next. */
  explain(text: string): void;
  /** Says that drawing failed, keeping the rest of the page alive. */
  fail(error: unknown): void;
  /** Promises that every drawing under way has ended; the tests and benchmarks wait for it. */
  drawing(work: Promise<unknown>): void;
}

export interface TooltipRow {
  readonly label: string;
  readonly value: string;
  /** A colour swatch and a bar's length from 0 to 1, where there is one. */
  readonly colour?: string;
  readonly share?: number;
}

export interface View {
  readonly name: ViewName;
  readonly title: string;
  readonly help: readonly KeyHelp[];
  /** Builds the view inside `host`, an empty element that the shell sizes; draws, and follows the store from then on. */
  mount(host: HTMLElement, context: ViewContext): void;
  /** The size or the theme changed: draw again. */
  redraw(): void;
  /** Removes listeners; the shell empties `host`. */
  unmount(): void;
  /**
   * The current picture as a self-contained SVG (text as text, colours written out, raster parts as data URLs) in
   * the page's size; PNG export is made from it by the shell.
   */
  toSvg(): Promise<SVGSVGElement>;
}

export type { Series };
