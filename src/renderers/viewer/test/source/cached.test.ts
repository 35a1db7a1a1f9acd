import { expect, it } from "vitest";
import { CachedSource } from "../../src/source/cached";
import type { Tile, TileRequest, TileSource } from "../../src/source/source";
import { axisInfo, layerInfo, traceInfo } from "../helpers/traces";

class Counting implements TileSource {
  readonly trace = traceInfo(axisInfo(4), [layerInfo(4, 4)]);
  asked = 0;
  failing = false;

  async tile({ queries, keys }: TileRequest): Promise<Tile> {
    this.asked += 1;
    if (this.failing) throw new Error("lost");
    return { queries, keys, rows: 4, columns: 4, rowStep: 1, columnStep: 1, values: new Float32Array(16) };
  }

  vectors(): never {
    throw new Error("not used");
  }
}

function request(head: number): TileRequest {
  const range = { start: 0, stop: 4 };
  return { layer: 0, head, item: 0, queries: range, keys: range, maxRows: 4, maxColumns: 4 };
}

it("asks once for what several want", async () => {
  const source = new Counting();
  const cached = new CachedSource(source);
  await Promise.all([cached.tile(request(0)), cached.tile(request(0)), cached.tile(request(1))]);
  expect(source.asked).toBe(2);
});

it("forgets the oldest when it holds too much", async () => {
  const source = new Counting();
  const cached = new CachedSource(source, 2 * 64);
  for (const head of [0, 1, 2]) await cached.tile(request(head));
  await cached.tile(request(2));
  expect(source.asked).toBe(3);
  await cached.tile(request(0));
  expect(source.asked).toBe(4);
});

it("tries again after a failure", async () => {
  const source = new Counting();
  const cached = new CachedSource(source);
  source.failing = true;
  await expect(cached.tile(request(0))).rejects.toThrow("lost");
  source.failing = false;
  await expect(cached.tile(request(0))).resolves.toBeDefined();
});
