/** Remembers what was asked for lately, and gives the same promise to all who ask for the same thing. */

interface Entry<T> {
  readonly promise: Promise<T>;
  /** 0 until the promise has resolved. */
  bytes: number;
}

export class PromiseCache<T> {
  private readonly entries = new Map<string, Entry<T>>();
  private bytes = 0;

  /** Holds at most `mostBytes`, or the one last thing where it alone is larger. */
  constructor(
    private readonly mostBytes: number,
    private readonly bytesOf: (value: T) => number,
  ) {}

  get(name: string, make: () => Promise<T>): Promise<T> {
    const known = this.entries.get(name);
    if (known !== undefined) {
      // The map's order is the order of last use.
      this.entries.delete(name);
      this.entries.set(name, known);
      return known.promise;
    }
    const entry: Entry<T> = { promise: make(), bytes: 0 };
    this.entries.set(name, entry);
    entry.promise.then(
      (value) => this.weigh(entry, this.bytesOf(value)),
      // What failed may work the next time.
      () => this.entries.delete(name),
    );
    return entry.promise;
  }

  private weigh(entry: Entry<T>, bytes: number): void {
    entry.bytes = bytes;
    this.bytes += bytes;
    for (const [name, oldest] of this.entries) {
      if (this.bytes <= this.mostBytes) return;
      if (oldest === entry || oldest.bytes === 0) continue;
      this.entries.delete(name);
      this.bytes -= oldest.bytes;
    }
  }
}
