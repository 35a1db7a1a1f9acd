import { deflateSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { changedBlock } from "../../src/data/changed-block";
import { KNOWN_WITHIN } from "../../src/data/discount";
import { isLeftOut, mostOf } from "../../src/data/weights";
import type { EmbeddedInfo } from "../../src/source/blocks";
import { EmbeddedSource } from "../../src/source/embedded";
import type { Range, Tile } from "../../src/source/source";
import { axisInfo, layerInfo, traceInfo } from "../helpers/traces";

const LEAST = 2 ** ((-253.5 * 16) / 254);
/** What a written weight may differ from the true one by. */
const ROUNDING = 2 ** (16 / 254 / 2);

/** The softmax of whole numbers, so that rows differ in how much the largest few have of them. */
function rowsOf(scores: readonly (readonly number[])[]): number[][] {
  return scores.map((row) => {
    const powers = row.map((score) => Math.exp(score));
    const sum = powers.reduce((total, power) => total + power, 0);
    return powers.map((power) => power / sum);
  });
}

/** A page that holds the `top` largest weights of each row, written here from the description of the format. */
function topSource(heads: readonly number[][][], top: number, causal: number | null = null): EmbeddedSource {
  const size = heads[0]!.length;
  const [low, codes]: [number[], number[]] = [[], []];
  for (const row of heads.flat()) {
    const kept = row.map((weight, key) => ({ weight, key })).filter(({ weight }) => weight >= LEAST);
    kept.sort((left, right) => right.weight - left.weight);
    const held = kept.slice(0, top).sort((left, right) => left.key - right.key);
    held.forEach(({ weight, key }, place) => {
      low.push(key - (held[place - 1]?.key ?? 0));
      codes.push(Math.min(255, Math.max(1, Math.round(Math.log2(weight) * (254 / 16) + 255))));
    });
    for (let place = held.length; place < top; place += 1) [low, codes].forEach((list) => list.push(0));
  }
  const layer = layerInfo(size, size, { heads: heads.map((_, head) => head) });
  const block = { encoding: "top", top, values: "log8", index: "uint16", least: LEAST, causal } as const;
  const info: EmbeddedInfo = { ...traceInfo(axisInfo(size), [layer]), blocks: { "weights-0": block } };
  const bytes = deflateSync(Uint8Array.from([...low, ...low.map(() => 0), ...codes]));
  return new EmbeddedSource(info, async (name) => (name === "weights-0" ? bytes.toString("base64") : null));
}

const whole = (stop: number): Range => ({ start: 0, stop });
const SIZE = 7;
const scores = fc.array(fc.array(fc.integer({ min: -12, max: 4 }), { minLength: SIZE, maxLength: SIZE }), { minLength: SIZE, maxLength: SIZE });
const heads = fc.array(scores.map(rowsOf), { minLength: 3, maxLength: 3 });
const range = fc.tuple(fc.integer({ min: 0, max: SIZE - 1 }), fc.integer({ min: 1, max: SIZE })).map(([start, length]) => ({ start, stop: Math.min(SIZE, start + length) }));
const places = { queries: range, keys: range, maxRows: fc.integer({ min: 1, max: SIZE }), maxColumns: fc.integer({ min: 1, max: SIZE }) };

type Checked = Pick<Tile, "rows" | "columns" | "rowStep" | "columnStep" | "queries" | "keys" | "values" | "most">;

/** Every cell's true weight must be between what the tile says at least and at most. */
function check(
  tile: Checked,
  weight: (query: number, key: number) => number,
  // A held weight is written with so much error.
  error = ROUNDING * 1.0001,
): void {
  for (let cell = 0; cell < tile.values.length; cell += 1) {
    let largest = 0;
    const top = tile.queries.start + Math.floor(cell / tile.columns) * tile.rowStep;
    const left = tile.keys.start + (cell % tile.columns) * tile.columnStep;
    for (let query = top; query < Math.min(tile.queries.stop, top + tile.rowStep); query += 1) {
      for (let key = left; key < Math.min(tile.keys.stop, left + tile.columnStep); key += 1) largest = Math.max(largest, weight(query, key));
    }
    const [value, most] = [tile.values[cell]!, mostOf(tile, cell)];
    expect(largest).toBeLessThanOrEqual(most * error + 1e-7);
    if (!isLeftOut(value, most)) expect(value).toBeLessThanOrEqual(largest * error + LEAST);
  }
}

/** Scaled weights: bounds hold as they are, and numbers within what they are known to. */
function checkDiscounted(tile: Checked, weight: (query: number, key: number) => number): void {
  check(tile, weight, (1 + KNOWN_WITHIN.log8) * 1.0001);
}

describe("weights that the file does not hold", () => {
  it("are never a number, and below the smallest that is held", async () => {
    const source = topSource([rowsOf([[3, 2, 1, 0], [0, 0, 0, 0], [9, -9, -9, -9], [0, 1, 2, 3]])], 2);
    const tile = await source.tile({ layer: 0, head: 0, item: 0, queries: whole(4), keys: whole(4), maxRows: 4, maxColumns: 4 });
    const shown = [...tile.values].map((value, place) => (isLeftOut(value, mostOf(tile, place)) ? "?" : value > 1e-4 ? "held" : "0"));
    expect(shown.slice(0, 4)).toEqual(["held", "held", "?", "?"]);
    // The third row has one weight that is large enough to be written: the rest is known to be next to nothing.
    expect(shown.slice(8, 12)).toEqual(["held", "0", "0", "0"]);
    expect(mostOf(tile, 9)).toBeCloseTo(LEAST, 9);
    expect(mostOf(tile, 2)).toBeGreaterThan(rowsOf([[3, 2, 1, 0]])[0]![1]! / ROUNDING);
    expect(mostOf(tile, 2)).toBeLessThan(rowsOf([[3, 2, 1, 0]])[0]![1]! * ROUNDING ** 2);
  });

  it("are 0 where a query cannot see the key", async () => {
    const rows = rowsOf([[0, -99, -99, -99], [0, 0, -99, -99], [3, 2, 1, -99], [0, 1, 2, 3]]);
    const tile = await topSource([rows], 1, 0).tile({ layer: 0, head: 0, item: 0, queries: whole(4), keys: whole(4), maxRows: 4, maxColumns: 4 });
    expect([3, 7, 11].map((place) => [tile.values[place], mostOf(tile, place)])).toEqual([[0, 0], [0, 0], [0, 0]]);
    expect(isLeftOut(tile.values[9]!, mostOf(tile, 9))).toBe(true);
    const pooled = await topSource([rows], 1, 0).tile({ layer: 0, head: 0, item: 0, queries: whole(2), keys: whole(4), maxRows: 1, maxColumns: 2 });
    expect(pooled.values[1]).toBe(0);
  });

  it("are bounded in any block, however it is pooled", async () => {
    await fc.assert(
      fc.asyncProperty(heads, fc.integer({ min: 1, max: SIZE - 1 }), fc.record(places), async (weights, top, block) => {
        const tile = await topSource(weights, top).tile({ layer: 0, head: 1, item: 0, ...block });
        check(tile, (query, key) => weights[1]![query]![key]!);
      }),
    );
  });

  it("are bounded in means, also with keys taken out of the sums", async () => {
    const without = fc.subarray([0, 2, 5]);
    await fc.assert(
      fc.asyncProperty(heads, fc.integer({ min: 1, max: SIZE - 1 }), fc.record(places), without, async (weights, top, block, out) => {
        const parts = weights.map((_, head) => ({ layer: 0, head }));
        const tile = await changedBlock(topSource(weights, top), { ...block, item: 0, parts, without: out, allKeys: SIZE });
        const shown = (row: readonly number[], key: number): number => {
          const rest = row.reduce((sum, weight, at) => sum + (out.includes(at) ? 0 : weight), 0);
          return out.includes(key) || rest === 0 ? 0 : row[key]! / rest;
        };
        if (out.length === 0) check(tile, (query, key) => weights.reduce((sum, head) => sum + head[query]![key]! / 3, 0));
        else checkDiscounted(tile, (query, key) => weights.reduce((sum, head) => sum + shown(head[query]!, key) / 3, 0));
      }),
    );
  });
});
