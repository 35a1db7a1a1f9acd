/** The way from one token that a search finds to the next. */

export interface Match {
  readonly side: "query" | "key";
  readonly position: number;
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
