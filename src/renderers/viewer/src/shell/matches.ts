/** Which tokens a search finds. */

import type { AxisInfo } from "../source/trace-info";

export interface Match {
  readonly side: "query" | "key";
  readonly position: number;
}

/** Listed positions whose token holds `wanted`, as shown or as the tokenizer spells it; case does not count. */
export function positionsOf(wanted: string, axis: AxisInfo, item: number, listed: readonly number[]): readonly number[] {
  const text = wanted.trim().toLowerCase();
  if (text === "") return [];
  const spellings = [axis.labels[item], axis.raw?.[item]];
  return listed.filter((position) => spellings.some((tokens) => tokens?.[position]?.toLowerCase().includes(text)));
}

/** The match after `current`, or before it; starts over at the ends; null when there is none. */
export function nextMatch(matches: readonly Match[], current: Match | null, by: 1 | -1): Match | null {
  if (matches.length === 0) return null;
  const place = current === null ? -1 : matches.findIndex((match) => same(match, current));
  if (place === -1) return (by === 1 ? matches[0] : matches[matches.length - 1]) ?? null;
  return matches[(place + by + matches.length) % matches.length] ?? null;
}

export function same(left: Match, right: Match): boolean {
  return left.side === right.side && left.position === right.position;
}
