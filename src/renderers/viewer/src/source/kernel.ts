/** Asks the notebook's kernel through a widget's messages. */

import { AskedSource, type Answer } from "./answers";
import { SourceError, type TileSource } from "./source";
import type { TraceInfo } from "./trace-info";

/** The part of a widget's model that is needed here. */
export interface Messages {
  send(content: unknown): void;
  on(event: "msg:custom", callback: (content: unknown, buffers: readonly DataView[]) => void): void;
  off(event: "msg:custom", callback: (content: unknown, buffers: readonly DataView[]) => void): void;
}

const PATIENCE_MS = 60_000;

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** A source, and a function that stops listening. */
export function kernelSource(trace: TraceInfo, messages: Messages): { source: TileSource; close: () => void } {
  const waiting = new Map<string, Waiting>();
  // Several views of one widget share its messages: answers to others' questions are not ours. (There is no
  // crypto.randomUUID where a notebook is served over plain HTTP.)
  const prefix = crypto.getRandomValues(new Uint32Array(2)).join("-");
  let count = 0;
  const hear = (content: unknown, buffers: readonly DataView[]): void => {
    // Others may send messages of their own, which are anything.
    const { id, answer } = Object(content) as { id?: string; answer?: Answer["meta"] };
    const asked = id === undefined ? undefined : waiting.get(id);
    if (id === undefined || asked === undefined || answer === undefined) return;
    waiting.delete(id);
    clearTimeout(asked.timer);
    asked.resolve({ meta: answer, numbers: numbersIn(buffers[0]) });
  };
  messages.on("msg:custom", hear);
  const ask = (question: Readonly<Record<string, unknown>>): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const id = `${prefix}-${(count += 1)}`;
      const timer = setTimeout(() => {
        waiting.delete(id);
        reject(new SourceError("the kernel does not answer; run the cell again, or save the view as a file"));
      }, PATIENCE_MS);
      waiting.set(id, { resolve, timer });
      try {
        messages.send({ id, question });
      } catch {
        waiting.delete(id);
        clearTimeout(timer);
        reject(new SourceError("there is no kernel to ask; start one and run the cell again"));
      }
    });
  const close = (): void => {
    messages.off("msg:custom", hear);
    for (const { timer } of waiting.values()) clearTimeout(timer);
    waiting.clear();
  };
  return { source: new AskedSource(trace, ask), close };
}

/** Copied, since a buffer may begin at an address that no float32 may begin at. */
function numbersIn(view: DataView | undefined): Float32Array {
  if (view === undefined) return new Float32Array(0);
  return new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer);
}
