import { expect, it } from "vitest";
import { AskedSource } from "../../src/source/answers";
import { unframed } from "../../src/source/http";
import { axisInfo, layerInfo, traceInfo } from "../helpers/traces";

const trace = traceInfo(axisInfo(2), [layerInfo(2, 2)]);
const ranges = { queries: { start: 0, stop: 1 }, keys: { start: 0, stop: 2 } };

it("reads a framed answer", () => {
  const json = new TextEncoder().encode('{"rows":1}  ');
  const body = new Uint8Array(4 + json.length + 8);
  new DataView(body.buffer).setUint32(0, json.length, true);
  body.set(json, 4);
  body.set(new Uint8Array(new Float32Array([0.5, 0.25]).buffer), 4 + json.length);
  const answer = unframed(body.buffer);
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
