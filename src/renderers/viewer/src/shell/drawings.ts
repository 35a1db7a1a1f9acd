/** Keeps count of what is being drawn, so that somebody can wait until nothing is. */

export class Drawings {
  private readonly under = new Set<Promise<unknown>>();

  add(work: Promise<unknown>): void {
    // Failures are shown by whoever draws; here only the end counts.
    const ended = work.then(
      () => undefined,
      () => undefined,
    );
    this.under.add(ended);
    void ended.then(() => this.under.delete(ended));
  }

  /** Resolves when nothing is being drawn, and nothing more was begun by what has ended. */
  async idle(): Promise<void> {
    do {
      await Promise.all(this.under);
      await new Promise((resolve) => setTimeout(resolve, 0));
    } while (this.under.size > 0);
  }
}
