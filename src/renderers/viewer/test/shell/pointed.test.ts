import { describe, expect, it } from "vitest";
import type { BlockRequest, WeightsReader } from "../../src/data/reader";
import { scoringFacts } from "../../src/shell/details-layer";
import { Drawings } from "../../src/shell/drawings";
import { pointedAt, readPointed } from "../../src/shell/pointed-weights";
import { firstSelection } from "../../src/state/first";
import { NO_FOCUS } from "../../src/state/selection";
import { axisInfo, layerInfo, traceInfo } from "../helpers/traces";

const selection = firstSelection(traceInfo(axisInfo(4), [layerInfo(4, 4)]));

describe("what is pointed at", () => {
  it("is nothing at first, then what is pinned, and before that what is under the pointer", () => {
    expect(pointedAt(selection, NO_FOCUS)).toBeNull();
    expect(pointedAt({ ...selection, query: 2, key: 1 }, NO_FOCUS)).toEqual({ side: "query", position: 2, other: 1 });
    expect(pointedAt({ ...selection, query: 2 }, { ...NO_FOCUS, query: 0, key: 3 })).toEqual({ side: "query", position: 0, other: 3 });
  });

  it("asks who attends to a key that stands alone", () => {
    expect(pointedAt(selection, { ...NO_FOCUS, key: 3 })).toEqual({ side: "key", position: 3, other: null });
  });

  it("reads a row for a query and a column for a key, one for each series", async () => {
    const asked: BlockRequest[] = [];
    const series = [0, 1].map((head) => ({ colour: head, label: `head ${head}`, heads: [head], layers: [0] }));
    const reader = {
      block: (request: BlockRequest) => {
        asked.push(request);
        return Promise.resolve({ ...request, rows: 1, columns: 1, rowStep: 1, columnStep: 1, values: Float32Array.from([request.series.colour]) });
      },
    } as unknown as WeightsReader;
    const layer = layerInfo(5, 7);
    const row = await readPointed(series, reader, layer, 0, { side: "query", position: 2, other: null });
    expect(row.rows.map(({ values }) => values[0])).toEqual([0, 1]);
    expect(asked[0]).toMatchObject({ queries: { start: 2, stop: 3 }, keys: { start: 0, stop: 7 }, maxRows: 1, maxColumns: 7 });
    await readPointed(series, reader, layer, 0, { side: "key", position: 6, other: null });
    expect(asked[2]).toMatchObject({ queries: { start: 0, stop: 5 }, keys: { start: 6, stop: 7 }, maxRows: 5, maxColumns: 1 });
  });
});

describe("scoring facts", () => {
  it("say what the scores are made of, and nothing that they are not", () => {
    const scoring = { scale: 0.125, softcap: 50, causal: true, window: 128, mask: false, bias: true, biasHeld: false, sinks: [0.5] };
    expect(scoringFacts(scoring)).toEqual([
      ["Scale", "q·k × 0.125"],
      ["Softcap", "50"],
      ["Bias", "added to the scores, not held here"],
      ["Mask", "causal, window of 128"],
      ["Sinks", "one learned score a head, without a token"],
    ]);
    const plain = { ...scoring, softcap: null, causal: false, window: null, bias: false, sinks: null };
    expect(scoringFacts(plain)).toEqual([["Scale", "q·k × 0.125"]]);
  });
});

describe("drawings under way", () => {
  it("are waited for, with those that they begin, and failures end them too", async () => {
    const drawings = new Drawings();
    const ended: string[] = [];
    const later = (name: string): Promise<void> => new Promise((resolve) => setTimeout(() => resolve(void ended.push(name)), 5));
    drawings.add(later("first").then(() => drawings.add(later("second"))));
    drawings.add(Promise.reject(new Error("could not be drawn")));
    await drawings.idle();
    expect(ended).toEqual(["first", "second"]);
  });
});
