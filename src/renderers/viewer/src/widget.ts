/** Starts the viewer in a notebook's widget, and keeps its selection and the widget's traits the same. */

import { mountViewer } from "./shell/app";
import { kernelSource, type Messages } from "./source/kernel";
import type { TraceInfo } from "./source/trace-info";
import { firstSelection } from "./state/first";
import { selectionOf, syncTraits, type Traits } from "./state/sync";

const HEIGHT = 640;

/** Returns what takes the viewer away again. The same widget may be shown several times. */
function render({ model, el }: { model: Messages & Traits; el: HTMLElement }): () => void {
  const trace = model.get("_trace") as TraceInfo;
  const { source, close } = kernelSource(trace, model);
  const host = document.createElement("div");
  const setHeight = (): void => {
    host.style.height = `${Number(model.get("height")) || HEIGHT}px`;
  };
  setHeight();
  el.append(host);
  const first = { ...firstSelection(trace), ...selectionOf(model, trace) };
  const viewer = mountViewer(host, source, { first, urlState: false });
  const stop = syncTraits(viewer.store, model);
  model.on("change:height", setHeight);
  return () => {
    model.off("change:height", setHeight);
    stop();
    close();
    viewer.destroy();
    host.remove();
  };
}

export default { render };
