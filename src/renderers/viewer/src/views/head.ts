/** Temporary stand-in until this view is written here: write over it. */

import type { View } from "./view";

export function createHeadView(): View {
  return {
    name: "head",
    title: "Head",
    help: [],
    mount: () => undefined,
    redraw: () => undefined,
    unmount: () => undefined,
    toSvg: () => Promise.reject(new Error("not drawn yet")),
  };
}
