import { afterEach, expect, it, vi } from "vitest";
import { AskedSource } from "../../src/source/answers";
import { httpSource, unframed } from "../../src/source/http";
import { axisInfo, layerInfo, traceInfo } from "../helpers/traces";

const trace = traceInfo(axisInfo(2), [layerInfo(2, 2)]);
const ranges = { queries: { start: 0, stop: 1 }, keys: { start: 0, stop: 2 } };

afterEach(() => vi.unstubAllGlobals());

function framed(text: string, numbers: readonly number[]): ArrayBuffer {
  const json = new TextEncoder().encode(text);
  const body = new Uint8Array(4 + json.length + 4 * numbers.length);
  new DataView(body.buffer).setUint32(0, json.length, true);
  body.set(json, 4);
  body.set(new Uint8Array(new Float32Array(numbers).buffer), 4 + json.length);
  return body.buffer;
}

it("reads a framed answer", () => {
  const answer = unframed(framed('{"rows":1}  ', [0.5, 0.25]));
  expect(answer.meta).toEqual({ rows: 1 });
  expect([...answer.numbers]).toEqual([0.5, 0.25]);
});

it("takes query, key, bias and mask out of one buffer", async () => {
  const meta = { queries: [0, 1], keys: [0, 2], headDim: 1, bias: true, allowed: true };
  const source = new AskedSource(trace, async () => ({ meta, numbers: Float32Array.from([9, 1, 2, 3, 4, 1, 0]) }));
  const vectors = await source.vectors({ layer: 0, head: 0, item: 0, ...ranges });
  expect([vectors.query, vectors.key, vectors.bias].map((part) => [...(part ?? [])])).toEqual([[9], [1, 2], [3, 4]]);
  expect([...(vectors.allowed ?? [])]).toEqual([1, 0]);
});

it("passes on why there is no answer", async () => {
  const source = new AskedSource(trace, async () => ({ meta: { error: "no such layer" }, numbers: new Float32Array(0) }));
  await expect(source.tile({ layer: 9, head: 0, item: 0, ...ranges, maxRows: 1, maxColumns: 2 })).rejects.toThrow("no such layer");
});

it("refuses an answer that was cut short", async () => {
  const meta = { queries: [0, 1], keys: [0, 2], rows: 1, columns: 2, rowStep: 1, columnStep: 1, headDim: 1 };
  const source = new AskedSource(trace, async () => ({ meta, numbers: new Float32Array(1) }));
  const request = { layer: 0, head: 0, item: 0, ...ranges };
  await expect(source.tile({ ...request, maxRows: 1, maxColumns: 2 })).rejects.toThrow(/2 numbers .* 1 came/);
  await expect(source.vectors(request)).rejects.toThrow(/3 numbers .* 1 came/);
});

it("asks a server, and says what is wrong with it", async () => {
  const asked: unknown[] = [];
  const answers: (() => Response)[] = [
    () => new Response(framed('{"model":"BertModel"}   ', [])),
    () => new Response(framed('{"error":"no such layer"}   ', []), { status: 400 }),
    () => new Response("not found", { status: 403 }),
    () => new Response("<html>"),
    () => {
      throw new TypeError("Failed to fetch");
    },
  ];
  vi.stubGlobal("fetch", async (address: string, options: RequestInit) => {
    asked.push([address, JSON.parse(String(options.body))]);
    return answers.shift()?.();
  });
  const source = await httpSource("http://127.0.0.1:1/secret/ask");
  expect(source.trace.model).toBe("BertModel");
  expect(asked).toEqual([["http://127.0.0.1:1/secret/ask", { ask: "trace" }]]);
  const request = { layer: 0, head: 0, item: 0, ...ranges, maxRows: 1, maxColumns: 2 };
  for (const words of ["no such layer", "status 403", "no answer of attncore", "no longer answers"]) {
    await expect(source.tile(request)).rejects.toThrow(words);
  }
  expect(asked[1]).toEqual(["http://127.0.0.1:1/secret/ask", { ask: "tile", ...request, queries: [0, 1], keys: [0, 2] }]);
});
