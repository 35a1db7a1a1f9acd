import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { kernelSource, type Messages } from "../../src/source/kernel";
import { axisInfo, layerInfo, traceInfo } from "../helpers/traces";

type Hear = (content: unknown, buffers: readonly DataView[]) => void;

class Channel implements Messages {
  readonly sent: { id: string; question: Record<string, unknown> }[] = [];
  readonly listeners = new Set<Hear>();
  dead = false;

  send(content: unknown): void {
    if (this.dead) throw new Error("comm is closed");
    this.sent.push(content as { id: string; question: Record<string, unknown> });
  }

  on(_event: "msg:custom", hear: Hear): void {
    this.listeners.add(hear);
  }

  off(_event: "msg:custom", hear: Hear): void {
    this.listeners.delete(hear);
  }

  say(content: unknown, buffers: readonly DataView[] = []): void {
    for (const listener of this.listeners) listener(content, buffers);
  }
}

const trace = traceInfo(axisInfo(2), [layerInfo(2, 2)]);
const request = { layer: 0, head: 1, item: 0, queries: { start: 0, stop: 1 }, keys: { start: 0, stop: 2 }, maxRows: 1, maxColumns: 2 };
const meta = { queries: [0, 1], keys: [0, 2], rows: 1, columns: 2, rowStep: 1, columnStep: 1 };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** The numbers at an address that is no multiple of four, as they come over a websocket. */
function buffer(...numbers: number[]): DataView {
  const bytes = new Uint8Array(1 + 4 * numbers.length);
  bytes.set(new Uint8Array(Float32Array.from(numbers).buffer), 1);
  return new DataView(bytes.buffer, 1);
}

it("matches answers to questions, whatever their order", async () => {
  const channel = new Channel();
  const { source } = kernelSource(trace, channel);
  const first = source.tile(request);
  const second = source.tile({ ...request, head: 0 });
  expect(channel.sent[0]?.question).toEqual({ ask: "tile", ...request, queries: [0, 1], keys: [0, 2] });
  channel.say({ id: channel.sent[1]?.id, answer: meta }, [buffer(0.25, 0.75)]);
  channel.say({ id: channel.sent[0]?.id, answer: meta }, [buffer(0.5, 0.5)]);
  expect([...(await first).values]).toEqual([0.5, 0.5]);
  expect([...(await second).values]).toEqual([0.25, 0.75]);
});

it("leaves alone what others were answered, and what is no answer", async () => {
  const channel = new Channel();
  const one = kernelSource(trace, channel);
  const other = kernelSource(trace, channel);
  const tile = one.source.tile(request);
  void other.source.tile(request);
  expect(channel.sent[0]?.id).not.toBe(channel.sent[1]?.id);
  for (const content of [null, "hello", { id: 1 }, { id: "x", answer: meta }]) channel.say(content);
  channel.say({ id: channel.sent[0]?.id, answer: { error: "no such head" } });
  await expect(tile).rejects.toThrow("no such head");
});

it("says so when the kernel is busy or gone", async () => {
  const channel = new Channel();
  const { source, close } = kernelSource(trace, channel);
  const tile = expect(source.tile(request)).rejects.toThrow(/kernel does not answer/);
  await vi.advanceTimersByTimeAsync(120_000);
  await tile;
  channel.dead = true;
  await expect(source.tile(request)).rejects.toThrow(/no kernel/);
  close();
  expect(channel.listeners.size).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});
