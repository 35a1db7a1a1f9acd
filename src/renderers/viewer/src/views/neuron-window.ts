/** Rows of a long list that are in sight: only these have elements. */

export interface RowWindow {
  readonly first: number;
  /** Behind the last. */
  readonly last: number;
}

/** Some rows above and below as well, so that scrolling does not show gaps. */
const SPARE = 6;

export function rowWindow(count: number, rowHeight: number, scrolled: number, height: number): RowWindow {
  const first = Math.max(0, Math.floor(scrolled / rowHeight) - SPARE);
  const last = Math.min(count, Math.ceil((scrolled + Math.max(0, height)) / rowHeight) + SPARE);
  return { first: Math.min(first, last), last };
}

/** Where to scroll to so that a row is in sight, moving as little as possible. */
export function revealed(row: number, rowHeight: number, scrolled: number, height: number): number {
  if (row * rowHeight < scrolled) return row * rowHeight;
  if ((row + 1) * rowHeight > scrolled + height) return (row + 1) * rowHeight - height;
  return scrolled;
}

/** The row that a key moves to; null for keys that do not move. */
export function movedRow(key: string, row: number, count: number, page: number): number | null {
  const by: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -count, End: count };
  const step = by[key];
  return step === undefined || count === 0 ? null : Math.min(count - 1, Math.max(0, row + step));
}

/** Keeps one element for each row in sight, and none for the others. */
export class RowKeeper<Parts extends { readonly element: HTMLElement }> {
  private readonly shown = new Map<number, Parts>();

  constructor(
    private readonly holder: HTMLElement,
    private readonly rowHeight: number,
    private readonly create: () => Parts,
    private readonly fill: (parts: Parts, row: number) => void,
  ) {}

  /** Elements of rows that have come into sight are made and filled; with `again`, all are filled. */
  show(window: RowWindow, again: boolean): void {
    const spare: Parts[] = [];
    for (const [row, parts] of this.shown) {
      if (row >= window.first && row < window.last) continue;
      this.shown.delete(row);
      spare.push(parts);
    }
    for (let row = window.first; row < window.last; row += 1) {
      const known = this.shown.get(row);
      if (known !== undefined && !again) continue;
      const parts = known ?? spare.pop() ?? this.create();
      parts.element.style.transform = `translateY(${row * this.rowHeight}px)`;
      this.fill(parts, row);
      if (known === undefined) this.shown.set(row, parts);
      if (parts.element.parentNode !== this.holder) this.holder.append(parts.element);
    }
    for (const parts of spare) parts.element.remove();
  }

  /** Each row in sight with its parts. */
  each(work: (parts: Parts, row: number) => void): void {
    for (const [row, parts] of this.shown) work(parts, row);
  }

  at(row: number): Parts | undefined {
    return this.shown.get(row);
  }
}
