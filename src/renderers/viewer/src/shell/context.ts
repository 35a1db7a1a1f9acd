/** What a view is given: the store and the reader, the theme's colours, and ways to say things. */

import type { WeightsReader } from "../data/reader";
import { Threshold } from "../data/threshold";
import type { AxisInfo, LayerInfo } from "../source/trace-info";
import type { Store } from "../state/store";
import type { ViewContext } from "../views/view";
import type { Drawings } from "./drawings";
import type { Messages } from "./messages";
import { formatWeight } from "./numbers";
import type { ThemeSwitch } from "./theme";
import type { Tooltip } from "./tooltip";

export interface ContextParts {
  readonly store: Store;
  readonly reader: WeightsReader;
  readonly theme: ThemeSwitch;
  readonly tooltip: Tooltip;
  readonly messages: Messages;
  readonly drawings: Drawings;
}

export function createContext(parts: ContextParts): ViewContext {
  const { store, reader, theme, tooltip, messages, drawings } = parts;
  const { trace } = store;
  const threshold = new Threshold(store, () => reader.queries().length);
  const layer = (): LayerInfo => layerAt(store, store.selection.layer);
  return {
    store,
    trace,
    reader,
    colours: () => theme.colours,
    layer,
    queryAxis: () => axisOf(store, layer().queryAxis),
    keyAxis: () => axisOf(store, layer().keyAxis),
    threshold,
    format: (weight, most) => formatWeight(weight, trace.precision, most),
    tooltip: {
      show: (x, y, title, rows) => tooltip.show(x, y, title, rows),
      hide: () => tooltip.hide(),
    },
    announce: (text) => messages.announce(text),
    explain: (text) => messages.explain(text),
    fail: (error) => messages.fail(error),
    drawing: (work) => drawings.add(work),
  };
}

export function layerAt(store: Store, place: number): LayerInfo {
  const layer = store.trace.layers[place];
  if (layer === undefined) throw new Error(`the trace has ${store.trace.layers.length} layers; there is none at place ${place}`);
  return layer;
}

export function axisOf(store: Store, name: string): AxisInfo {
  const axis = store.trace.axes[name];
  if (axis === undefined) throw new Error(`the trace has no axis "${name}"`);
  return axis;
}
