import { describe, expect, it, test } from "vitest";
import { coloursFor, seriesColour } from "../../src/draw/colours";
import { FAINTEST_LEVEL, LineBuffer, lineStyle, lineWidth, opacity, strength, strongest, strongStyle, type StrengthScale } from "../../src/draw/lines";
import { usualWidth } from "../../src/draw/token-column-width";
import { heightsOf, nearby, standsOut } from "../../src/views/head-ends";
import { figuresOf, isKnown, type Figures } from "../../src/views/head-figures";
import { legendSamples, legendScale, sampleText } from "../../src/views/head-legend";
import { alwaysDrawn, collectAll, collectFigures } from "../../src/views/head-lines";
import { columnTokens, listingOf, partsOf } from "../../src/views/head-listing";
import { lineAt, type DrawnLines } from "../../src/views/head-pick";
import { drawingOrder } from "../../src/views/head-picture";
import { sceneOf, type Scene } from "../../src/views/head-scene";
import { keysHeight, placed } from "../../src/views/head-svg-keys";
import type { HeadWeights } from "../../src/views/head-weights";
import { drawnSentence, pairRows, type PairWeight } from "../../src/views/head-words";
import type { Selection } from "../../src/state/selection";
import { NO_FOCUS } from "../../src/state/selection";
import { axisInfo } from "../helpers/traces";

const linear = (changes: Partial<StrengthScale> = {}): StrengthScale => ({ scale: "linear", top: 1, threshold: 0.02, ...changes });

function figures(bySeries: readonly (Float32Array | null)[], changes: Partial<Figures> = {}): Figures {
  const mean = new Float32Array(bySeries[0]?.length ?? 0);
  return { kind: "query", row: 1, bySeries, mean, most: mean, top: 1, topMean: 1, ...changes };
}

function collected(bySeries: readonly Float32Array[], scale: StrengthScale, other: number | null = null): { key: number; series: number; level: number }[] {
  const lines = new LineBuffer();
  collectFigures(lines, figures(bySeries), scale, other);
  return Array.from({ length: lines.length }, (_, line) => ({ key: lines.key[line]!, series: lines.series[line]!, level: lines.level[line]! }));
}

describe("the lines of a single token", () => {
  const row = Float32Array.from({ length: 40 }, (_, key) => (key === 30 ? 0.011 : 0.0001 * (key + 1)));

  it("are never none, however far all weights are below the threshold", () => {
    const lines = collected([row], linear({ top: 0.011, threshold: 0.5 }));
    expect(lines.length).toBe(alwaysDrawn(1));
    expect(lines[0]).toEqual({ key: 30, series: 0, level: 255 });
    expect(lines.every(({ level }) => level >= FAINTEST_LEVEL)).toBe(true);
  });

  it("have every weight from the threshold on too, each once", () => {
    const many = Float32Array.from({ length: 40 }, (_, key) => (key < 25 ? 0.04 : 0));
    const lines = collected([many], linear({ top: 0.04, threshold: 0.03 }));
    expect(lines.map(({ key }) => key).sort((left, right) => left - right)).toEqual(Array.from({ length: 25 }, (_, key) => key));
  });

  it("have the pair that is pinned, however weak it is, and no pair without attention", () => {
    const weak = Float32Array.from({ length: 40 }, (_, key) => (key === 7 ? 1e-6 : key === 8 ? 0 : 0.02));
    expect(collected([weak], linear(), 7).some(({ key }) => key === 7)).toBe(true);
    expect(collected([weak], linear(), 8).some(({ key }) => key === 8)).toBe(false);
  });

  it("are fewer a head where there are many heads", () => {
    expect([1, 2, 4, 12, 32].map(alwaysDrawn)).toEqual([10, 8, 4, 2, 2]);
  });
});

describe("the lines of all tokens", () => {
  it("are those of the queries in the window, to any key", () => {
    const size = 6;
    const positions = Array.from({ length: size }, (_, position) => position);
    const values = Float32Array.from({ length: size * size }, () => 0.5);
    const weights = {
      series: [{}],
      row: (_: number, query: number) => ({ values, most: undefined, start: query * size, step: 1, from: 0 }),
    } as unknown as HeadWeights;
    const listing = { queries: positions, keys: positions } as unknown as Parameters<typeof collectAll>[2];
    const lines = new LineBuffer();
    collectAll(lines, weights, listing, { first: 2, last: 4 }, linear());
    const found = Array.from({ length: lines.length }, (_, line) => [lines.query[line], lines.key[line]]);
    expect(found).toEqual([2, 3].flatMap((query) => positions.map((key) => [query, key])));
  });
});

describe("a pair that is pinned", () => {
  const scene: Scene = { kind: "query", row: 0, other: 2 };

  it("is drawn last, on top, and all other lines keep their order", () => {
    const lines = new LineBuffer();
    for (const [key, level] of [[2, 10], [0, 20], [1, 200], [2, 30]] as const) lines.push(0, key, 0, level);
    const order = strongest(lines, 10);
    expect([...drawingOrder({ order, scene, lines })]).toEqual([1, 2, 0, 3]);
    expect([...drawingOrder({ order, scene: { kind: "all" }, lines })]).toEqual([...order]);
    expect([standsOut(scene, 2), standsOut(scene, 1), standsOut({ kind: "all" }, 2)]).toEqual([true, false, false]);
  });

  it("can be seen at its weakest, and the stronger of two lines is still the wider", () => {
    const style = strongStyle(lineStyle(12, true));
    expect(opacity(FAINTEST_LEVEL, style)).toBeGreaterThan(0.6);
    expect(lineWidth(200, style)).toBeGreaterThan(lineWidth(20, style));
  });

  it("is a pair only when a query is pinned or pointed at", () => {
    const listing = listingOf([0, 1, 2], [0, 1, 2]);
    const selection = { query: 0, key: 2 } as Selection;
    expect(sceneOf(selection, NO_FOCUS, listing)).toEqual({ kind: "query", row: 0, other: 2 });
    expect(sceneOf({ ...selection, query: null }, NO_FOCUS, listing)).toEqual({ kind: "key", row: 2, other: null });
  });
});

describe("the line that is meant by the pointer", () => {
  const size = { count: 10, rowHeight: 20, height: 200 };

  function drawn(ends: readonly (readonly [number, number, number])[]): DrawnLines {
    const lines = new LineBuffer();
    for (const [query, key, level] of ends) lines.push(query, key, 0, level);
    const columns = { queries: { size, offset: 0 }, keys: { size, offset: 0 } };
    return { lines, order: strongest(lines, 100), ...columns, scene: { kind: "all" }, seriesColours: ["#000"], style: lineStyle(1, false) };
  }

  it("is the strong one, where a pale one runs beside it", () => {
    const lines = drawn([[2, 2, 255], [2, 2, 20]]);
    const beside = lineAt(lines, 400, 0.5, 50 + 3);
    expect(lines.lines.level[beside ?? -1]).toBe(255);
  });

  it("is the pale one, where the pointer is on it and away from strong ones", () => {
    const lines = drawn([[2, 2, 255], [3, 3, 40]]);
    expect(lines.lines.key[lineAt(lines, 400, 0.5, 70) ?? -1]).toBe(3);
  });

  it("is none where nobody can see one", () => {
    expect(lineAt(drawn([[2, 2, FAINTEST_LEVEL]]), 400, 0.5, 50)).toBeNull();
    expect(lineAt(drawn([[2, 2, 255]]), 400, 0.5, 90)).toBeNull();
  });

  it("is measured across, so that a steep line can be hit beside it", () => {
    const lines = drawn([[0, 9, 255]]);
    expect(lineAt(lines, 60, 0.5, 100 + 12)).toBe(0);
  });
});

test("lines of all tokens fade by how far they really go, and all but a pinned pair stand back", () => {
  const size = { count: 100, rowHeight: 20, height: 200 };
  const lines = new LineBuffer();
  lines.push(0, 1, 0, 255);
  lines.push(0, 99, 0, 255);
  const placed = { lines, queries: { size, offset: 0 }, keys: { size, offset: 0 }, seriesColours: ["#000"] };
  const fades = (scene: Scene): number[] => [0, 1].map((line) => heightsOf({ ...placed, scene }, line).fade);
  expect(fades({ kind: "all" })[0]).toBe(1);
  expect(fades({ kind: "all" })[1]).toBeCloseTo(0.65 / Math.sqrt(1 + (99.5 * 20 - 200) / 200), 9);
  expect(fades({ kind: "query", row: 0, other: null })).toEqual([1, 1]);
  const [rest, pair] = fades({ kind: "query", row: 0, other: 99 });
  expect(pair).toBe(1);
  expect(rest).toBeLessThan(0.5);
});

test("a line to a token far away ends near the window, further out for a token further away", () => {
  expect(nearby(150, 200)).toBe(150);
  const ends = [201, 500, 5000, 20_000].map((y) => nearby(y, 200));
  expect([...ends].sort((left, right) => left - right)).toEqual(ends);
  expect(ends[0]).toBeGreaterThan(200);
  expect(ends[3]).toBeLessThan(900);
  expect(nearby(-500, 200)).toBeCloseTo(200 - nearby(700, 200), 9);
});

describe("the legend's samples", () => {
  it("are the largest weight and round ones below it that can be seen", () => {
    const samples = legendSamples(linear({ top: 0.976 }));
    expect(samples.map(({ weight }) => weight)).toEqual([0.976, 0.5, 0.2, 0.1]);
    expect(legendSamples(linear({ top: 0.0241, threshold: 0 })).map(({ weight }) => weight)).toEqual([0.0241, 0.01, 0.005, 0.002]);
    expect(legendSamples(linear({ top: 1, threshold: 0.3 })).map(({ weight }) => weight)).toEqual([1, 0.5]);
    expect(legendSamples(linear({ top: 0 }))).toEqual([]);
  });

  it("are of what is drawn where all weights are below the threshold", () => {
    const low = linear({ top: 0.1, threshold: 0.3 });
    expect(legendSamples(legendScale(low, false))).toEqual([]);
    const single = legendSamples(legendScale(low, true));
    expect(single.map(({ weight }) => weight)).toEqual([0.1, 0.05, 0.02, 0.01]);
    expect(Math.min(...single.map(({ level }) => level))).toBeGreaterThan(0);
    const usual = linear({ top: 0.5, threshold: 0.3 });
    expect(legendScale(usual, false)).toBe(usual);
  });

  it("go down in powers of ten on the logarithmic scale", () => {
    expect(legendSamples(linear({ scale: "log", top: 0.9, threshold: 0 })).map(({ weight }) => weight)).toEqual([0.9, 0.1, 0.01, 0.001]);
  });

  it("are written with the digits they have", () => {
    const format = (): string => "0.976";
    expect([0.976, 0.5, 0.02, 0.001].map((weight) => sampleText(weight, 0.976, format))).toEqual(["0.976", "0.5", "0.02", "0.001"]);
  });

  it("are as strong as the line of such a weight", () => {
    const scale = linear({ top: 0.8 });
    for (const { weight, level } of legendSamples(scale)) expect(level / 255).toBeCloseTo(strength(weight, scale), 2);
  });
});

test("a mean has neutral ink, and a single head its own colour", () => {
  const colours = coloursFor(false);
  const series = { colour: 3, label: "", heads: [3], layers: [0, 1] };
  expect(seriesColour(colours, series, 12)).toBe(colours.head(3, 12));
  expect(seriesColour(colours, { ...series, colour: 0, heads: [0, 1] }, 12)).toBe(colours.mean);
});

describe("the rows of a pair's tooltip", () => {
  const weights = [0.1, 0.5, 0.01, 0.3, 0.02, 0.03, 0.04, 0.2].map(
    (weight, head): PairWeight => ({ label: `head ${head}`, colour: "#000", weight, most: weight }),
  );
  const context = { format: (weight: number): string => weight.toFixed(2) };

  it("begin with the head that is pointed at, then the strongest, and say what the rest is below", () => {
    const rows = pairRows(context, weights, 4);
    expect(rows.map(({ label }) => label)).toEqual(["head 4", "head 1", "head 3", "head 7", "head 0", "3 others"]);
    expect(rows.at(-1)?.value).toBe("≤ 0.04");
  });

  it("count what is not held for as much as it may be", () => {
    const unheld = weights.map((entry) => (entry.label === "head 5" ? { ...entry, weight: Number.NaN, most: 0.061 } : entry));
    expect(pairRows(context, unheld, 4).at(-1)?.value).toBe("< 0.061");
    expect(pairRows(context, weights.map((entry) => ({ ...entry, weight: null })), 4).at(-1)?.value).toBe("");
  });

  it("leave none out where there are few", () => {
    const labels = pairRows(context, weights.slice(0, 6), null).map(({ label }) => label);
    expect(labels).toEqual(["head 1", "head 3", "head 0", "head 5", "head 4", "head 2"]);
  });
});

test("the sentence below the picture says which lines there are", () => {
  const counts = { drawn: 24, found: 24, threshold: 0.02, always: 0, series: 12 };
  expect(drawnSentence(counts)).toBe("24 lines from tokens in sight; weights from 0.02.");
  expect(drawnSentence({ ...counts, drawn: 1, found: 1, threshold: 0 })).toBe("1 line from tokens in sight; all weights.");
  expect(drawnSentence({ ...counts, found: 9000, drawn: 6000 })).toBe("The strongest 6,000 of 9,000 lines; weights from 0.02.");
  expect(drawnSentence({ ...counts, always: 2 })).toBe("Each head’s strongest 2 and all weights from 0.02: 24 lines.");
});

describe("what is not in the file", () => {
  const listing = listingOf([0], [0, 1, 2]);
  const tile = (values: readonly number[], most: readonly number[]) => ({ values: Float32Array.from(values), most: Float32Array.from(most) });
  const rows = [tile([0.5, Number.NaN, 0], [0.5, 0.25, 0]), tile([0.25, Number.NaN, Number.NaN], [0.25, 0.25, 0.25])];
  const weights = { series: [{}, {}], row: (series: number) => ({ ...rows[series]!, start: 0, step: 1, from: 0 }) } as unknown as HeadWeights;
  const found = figuresOf({ kind: "query", row: 0, other: null }, listing, weights)!;

  it("adds nothing to a mean, which is then known to be at least so much and at most so much", () => {
    expect([...found.mean]).toEqual([0.375, 0, 0]);
    expect([...found.most]).toEqual([0.375, 0.25, 0.125]);
    expect([0, 1, 2].map((row) => isKnown(found, row))).toEqual([true, false, false]);
    expect(found.top).toBe(0.5);
  });

  it("is another thing than a weight that the model itself has as not a number", () => {
    const none = { series: [{}], row: () => ({ values: Float32Array.of(Number.NaN, 1, 1), start: 0, step: 1, from: 0 }) } as unknown as HeadWeights;
    const spoiled = figuresOf({ kind: "query", row: 0, other: null }, listing, none)!;
    expect(spoiled.mean[0]).toBeNaN();
    expect(spoiled.topMean).toBe(1);
  });
});

describe("two sentences", () => {
  const axis = axisInfo(6, { segments: [[0, 0, 0, 1, 1, 1]] });

  it("are marked where each begins, also when some tokens are hidden", () => {
    expect(partsOf(axis, 0, [0, 1, 2, 3, 4, 5])).toEqual(["A", "", "", "B", "", ""]);
    expect(partsOf(axis, 0, [1, 4, 5])).toEqual(["A", "B", ""]);
    expect(columnTokens(axis, 0, [2, 3]).map(({ part }) => part)).toEqual(["A", "B"]);
  });

  it("are not marked where there is one", () => {
    expect(partsOf(axisInfo(3, { segments: [[0, 0, 0]] }), 0, [0, 1, 2])).toEqual(["", "", ""]);
    expect(partsOf(axisInfo(3), 0, [0, 1, 2])).toEqual(["", "", ""]);
  });
});

describe("the width of a column", () => {
  const measure = (text: string): number => text.length * 8;

  it("is that of the longest token, as long as that is not very long", () => {
    expect(usualWidth(["a", "because", "it"], measure)).toBe(56);
  });

  it("is not given to one very long token", () => {
    const labels = [...Array.from({ length: 27 }, () => "token"), "x".repeat(300)];
    expect(usualWidth(labels, measure)).toBe(130);
  });

  it("is given to many long ones", () => {
    expect(usualWidth(Array.from({ length: 20 }, () => "x".repeat(30)), measure)).toBe(240);
  });
});

describe("the keys of an exported picture", () => {
  it("go on in the next line where there is no room", () => {
    expect(placed([50, 50, 50], 130)).toEqual([{ x: 0, line: 0 }, { x: 64, line: 0 }, { x: 0, line: 1 }]);
  });

  it("take as much height as they have lines", () => {
    const heads = Array.from({ length: 12 }, (_, head) => ({ label: `head ${head}`, colour: "#000" }));
    const keys = { heads, samples: [], style: lineStyle(12, false) };
    expect(keysHeight(keys, 10_000)).toBeLessThan(keysHeight(keys, 200));
  });
});
