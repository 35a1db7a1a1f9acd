import { deflateSync } from "node:zlib";
import { expect, it } from "vitest";
import type { Block, EmbeddedInfo } from "../../src/source/blocks";
import { EmbeddedSource } from "../../src/source/embedded";
import { axisInfo, layerInfo, traceInfo } from "../helpers/traces";

const whole = (stop: number) => ({ start: 0, stop });

function sourceOf(
  size: number, blocks: Record<string, { block: Block; bytes: readonly number[] }>, changes = {},
): EmbeddedSource {
  const layer = layerInfo(size, size, changes);
  const info: EmbeddedInfo = {
    ...traceInfo(axisInfo(size), [layer]),
    blocks: Object.fromEntries(Object.entries(blocks).map(([name, { block }]) => [name, block])),
  };
  return new EmbeddedSource(info, async (name) => {
    const found = blocks[name];
    return found ? deflateSync(Uint8Array.from(found.bytes)).toString("base64") : null;
  });
}

const request = { layer: 0, item: 0, queries: whole(2), keys: whole(2), maxRows: 2, maxColumns: 2 };

it("finds the head in a whole layer", async () => {
  const bytes = [255, 0, 0, 255, 0, 255, 255, 0];
  const source = sourceOf(2, { "weights-0": { block: { encoding: "log8" }, bytes } });
  expect([...(await source.tile({ ...request, head: 0 })).values]).toEqual([1, 0, 0, 1]);
  expect([...(await source.tile({ ...request, head: 1 })).values]).toEqual([0, 1, 1, 0]);
  const part = await source.tile({ ...request, head: 1, queries: { start: 1, stop: 2 }, keys: { start: 0, stop: 1 } });
  expect([...part.values]).toEqual([1]);
});

it("finds the head in a whole layer that is written as steps from row to row", async () => {
  const bytes = [255, 0, 1, 255, 0, 255, 255, 1];
  const source = sourceOf(2, { "weights-0": { block: { encoding: "log8-steps" }, bytes } });
  expect([...(await source.tile({ ...request, head: 0 })).values]).toEqual([1, 0, 0, 1]);
  expect([...(await source.tile({ ...request, head: 1 })).values]).toEqual([0, 1, 1, 0]);
});

it("puts the largest keys of each row in their places", async () => {
  // One head of 3 x 3, two keys a row: row 0 has one key only, row 1 keys 0 and 2, row 2 keys 1 and 2.
  const low = [0, 0, 0, 2, 1, 1];
  const values = [255, 0, 255, 128, 128, 255];
  const block = { encoding: "top", top: 2, values: "log8", index: "uint16", least: 0.001, causal: null } as const;
  const source = sourceOf(3, { "weights-0": { block, bytes: [...low, 0, 0, 0, 0, 0, 0, ...values] } }, { heads: [0] });
  const tile = await source.tile({ ...request, head: 0, queries: whole(3), keys: whole(3), maxRows: 3, maxColumns: 3 });
  const small = 2 ** -8;
  expect([...tile.values].map((value) => Number(value.toFixed(6)))).toEqual(
    [1, 0, 0, 1, Number.NaN, small, Number.NaN, small, 1].map((value) => Number(value.toFixed(6))),
  );
});

it("answers a coarse whole map from the overview", async () => {
  const top = { encoding: "top", top: 1, values: "log8", index: "uint16", least: 0.001, causal: null } as const;
  const source = sourceOf(
    4,
    {
      "weights-0": { block: top, bytes: new Array(4 * 3).fill(0) },
      "overview-0": { block: { encoding: "log8", row_step: 2, column_step: 2 }, bytes: [255, 0, 0, 255] },
    },
    { heads: [0] },
  );
  const coarse = { ...request, head: 0, queries: whole(4), keys: whole(4), maxRows: 2, maxColumns: 2 };
  const tile = await source.tile(coarse);
  expect([...tile.values]).toEqual([1, 0, 0, 1]);
  expect([tile.rowStep, tile.columnStep]).toEqual([2, 2]);
  expect([...(await source.tile({ ...coarse, maxRows: 4, maxColumns: 4 })).values]).toEqual(new Array(16).fill(0));
});

it("uses the overview for any whole cells of it, and the weights for anything finer", async () => {
  const top = { encoding: "top", top: 1, values: "log8", index: "uint16", least: 0.001, causal: null } as const;
  // 5 x 5 positions in cells of 2 x 2; the weights say 0 everywhere, the overview does not, so it shows which was used.
  const blocks = {
    "weights-0": { block: top, bytes: new Array(5 * 3).fill(0) },
    "overview-0": { block: { encoding: "log8", row_step: 2, column_step: 2 } as const, bytes: [255, 0, 0, 0, 0, 255, 0, 255, 0] },
  };
  const source = sourceOf(5, blocks, { heads: [0] });
  const ask = async (start: number, stop: number, most: number) => {
    const range = { start, stop };
    return source.tile({ ...request, head: 0, queries: range, keys: range, maxRows: most, maxColumns: most });
  };
  // As many cells as the overview has, and more room than that, as long as a cell is not to be finer.
  for (const most of [3, 4]) expect([...(await ask(0, 5, most)).values]).toEqual([1, 0, 0, 0, 0, 1, 0, 1, 0]);
  expect([...(await ask(2, 5, 2)).values]).toEqual([0, 1, 1, 0]);
  const coarse = await ask(0, 5, 2);
  expect([coarse.rows, coarse.rowStep, ...coarse.values]).toEqual([2, 4, 1, 1, 1, 0]);
  expect(Math.max(...(await ask(1, 5, 2)).values)).toBe(0);
  expect(Math.max(...(await ask(0, 5, 5)).values)).toBe(0);
});

it("pools the largest keys of each row as they are put in their places", async () => {
  const size = 9;
  const top = 3;
  const keysOf = (query: number) => [query % 3, 3 + (query % 2), 5 + (query % 4)];
  const codeOf = (query: number, place: number) => 100 + ((query * 37 + place * 53) % 150);
  const low = Array.from({ length: size }, (_, query) => keysOf(query).map((key, place, keys) => key - (keys[place - 1] ?? 0))).flat();
  const codes = Array.from({ length: size }, (_, query) => keysOf(query).map((_key, place) => codeOf(query, place))).flat();
  const block = { encoding: "top", top, values: "log8", index: "uint32", least: 0.001, causal: null } as const;
  const zeros = new Array(3 * size * top).fill(0);
  const source = sourceOf(size, { "weights-0": { block, bytes: [...low, ...zeros, ...codes] } }, { heads: [0] });
  const ranges = { queries: { start: 1, stop: 9 }, keys: { start: 2, stop: 8 } };
  const tile = await source.tile({ ...request, head: 0, ...ranges, maxRows: 3, maxColumns: 2 });
  const expected = new Array(6).fill(0);
  for (let query = 1; query < 9; query += 1) {
    keysOf(query).forEach((key, place) => {
      if (key < 2 || key >= 8) return;
      const cell = Math.floor((query - 1) / 3) * 2 + Math.floor((key - 2) / 3);
      expected[cell] = Math.max(expected[cell], 2 ** (((codeOf(query, place) - 255) * 16) / 254));
    });
  }
  expect([...tile.values].map((value) => value.toFixed(6))).toEqual(expected.map((value) => value.toFixed(6)));
});

it("shows a negative weight where a cell is one position, and a missing one always", async () => {
  const block = { encoding: "top", top: 2, values: "float16", index: "uint16", least: 0.001, causal: null } as const;
  const half = [0x00, 0xb8, 0x00, 0x38, 0x00, 0x7e, 0x00, 0x38]; // -0.5, 0.5; NaN, 0.5
  const source = sourceOf(2, { "weights-0": { block, bytes: [0, 1, 0, 1, 0, 0, 0, 0, ...half] } }, { heads: [0] });
  expect([...(await source.tile({ ...request, head: 0 })).values]).toEqual([-0.5, 0.5, NaN, 0.5]);
  expect([...(await source.tile({ ...request, head: 0, maxColumns: 1 })).values]).toEqual([0.5, NaN]);
});

it("gives a head the vectors of its key head, with bias and mask", async () => {
  // All low bytes, then all high ones.
  const half = (values: readonly number[]) => [...values.map(() => 0), ...values.map((value) => (value === 1 ? 0x3c : value === 2 ? 0x40 : 0))];
  const query = half([1, 2, 2, 1]); // two heads, two queries, one dimension
  const key = half([2, 1]); // one key head
  const bias = half([0, 1]); // (1, 1, 1, 2): the same for every head and query
  const block = { encoding: "float16", bias: [1, 1, 1, 2], allowed: [1, 1, 2, 2] } as const;
  const bytes = [...query, ...key, ...bias, 0b10110000];
  const vectors = { headDim: 1, keyHeads: 1 };
  const source = sourceOf(2, { "vectors-0": { block, bytes } }, { vectors });
  const answer = await source.vectors({ layer: 0, head: 1, item: 0, queries: { start: 1, stop: 2 }, keys: whole(2) });
  expect([...answer.query]).toEqual([1]);
  expect([...answer.key]).toEqual([2, 1]);
  expect([...(answer.bias ?? [])]).toEqual([0, 1]);
  expect([...(answer.allowed ?? [])]).toEqual([1, 1]);
});

it("says what is missing", async () => {
  const source = sourceOf(2, {});
  await expect(source.tile({ ...request, head: 0 })).rejects.toThrow(/weights-0/);
  await expect(source.vectors({ layer: 0, head: 0, item: 0, queries: whole(1), keys: whole(1) })).rejects.toThrow("no vectors here");
});
