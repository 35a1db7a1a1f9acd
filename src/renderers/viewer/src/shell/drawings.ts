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
      await nextTask();
    } while (this.under.size > 0);
  }
}

/** After all that is ready to run has run. A timer would add up to 4 ms to what benchmarks measure. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
