/** Finds tokens by their text. */

import type { AxisInfo } from "../source/trace-info";

/** Positions whose label, or spelling in the tokenizer, contains the text; upper and lower case are the same. */
export function matchingPositions(axis: AxisInfo, item: number, text: string): number[] {
  const wanted = text.trim().toLocaleLowerCase();
  if (wanted === "") return [];
  const labels = axis.labels[item] ?? [];
  const raw = axis.raw?.[item];
  const found: number[] = [];
  labels.forEach((label, position) => {
    const spelled = raw?.[position] ?? label;
    if ([label, spelled].some((one) => one.toLocaleLowerCase().includes(wanted))) found.push(position);
  });
  return found;
}
