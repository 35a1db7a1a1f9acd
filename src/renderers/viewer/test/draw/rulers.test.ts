import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { heatTicks, legendWidth } from "../../src/draw/legend";
import { columnTurn, fitText, isolated, roundStep, rulerMarks, turnedSpacing, widestLabel, withoutOverlap, type RulerRequest } from "../../src/draw/rulers";
import { pairTitle } from "../../src/views/head-words";
import { describePointed } from "../../src/views/matrix-pointed";

/** Every character is ten pixels wide. */
const measure = (text: string): number => [...text].length * 10;

function request(changes: Partial<RulerRequest>): RulerRequest {
  return {
    count: 12, cell: 40, offset: 0, length: 480, spacing: 13, numberSpacing: 40, inOrder: true,
    label: (index) => `t${index}`, position: (index) => index, ...changes,
  };
}

describe("rulerMarks", () => {
  test("shows every token where there is room, in the middle of its cell", () => {
    const { kind, marks } = rulerMarks(request({}));
    expect(kind).toBe("tokens");
    expect(marks.map((mark) => mark.text)).toEqual(Array.from({ length: 12 }, (_, index) => `t${index}`));
    expect(marks[3]?.centre).toBe(140);
  });

  test("thins tokens, and writes round numbers where even that would say little", () => {
    const thinned = rulerMarks(request({ count: 100, cell: 6, length: 600 }));
    expect(thinned.kind).toBe("tokens");
    expect(thinned.marks.slice(0, 3).map((mark) => mark.index)).toEqual([0, 3, 6]);
    const numbers = rulerMarks(request({ count: 1024, cell: 0.5, length: 512 }));
    expect(numbers.kind).toBe("numbers");
    expect(numbers.marks.slice(0, 3).map((mark) => mark.text)).toEqual(["0", "100", "200"]);
  });

  test("keeps to tokens when they are sorted by weight, as numbers at even distances would mean nothing", () => {
    expect(rulerMarks(request({ count: 1024, cell: 0.5, length: 512, inOrder: false })).kind).toBe("tokens");
  });

  test("numbers are positions, not rows, where tokens are hidden", () => {
    const { marks } = rulerMarks(request({ count: 500, cell: 1, length: 500, position: (index) => index + 7 }));
    expect(marks[0]).toMatchObject({ index: 43, text: "50" });
  });

  test("labels in view never come closer than the spacing, whatever the zoom", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20_000 }), fc.double({ min: 0.05, max: 100, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }),
        (count, cell, share) => {
          const length = 600;
          const offset = -share * Math.max(0, count * cell - length);
          const { kind, marks } = rulerMarks(request({ count, cell, offset, length }));
          const least = kind === "tokens" ? 13 : 40;
          for (let place = 1; place < marks.length; place += 1) {
            expect((marks[place]?.centre ?? 0) - (marks[place - 1]?.centre ?? 0)).toBeGreaterThanOrEqual(least - 1e-6);
          }
          for (const mark of marks) expect(mark.centre >= 0 && mark.centre <= length).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });
});

test("round steps are 1, 2, 5 times a power of ten", () => {
  expect([0.3, 1, 1.5, 3, 7, 12, 51, 100].map(roundStep)).toEqual([1, 1, 2, 5, 10, 20, 100, 100]);
});

test("labels never lie upon those that are kept, nor upon each other, and none is left out without need", () => {
  const extent = fc.record({ centre: fc.integer({ min: 0, max: 500 }), half: fc.integer({ min: 1, max: 40 }) });
  fc.assert(
    fc.property(fc.array(extent, { maxLength: 30 }), fc.array(extent, { maxLength: 2 }), (marks, kept) => {
      const shown = withoutOverlap(marks, kept);
      const apart = (left: { centre: number; half: number }, right: { centre: number; half: number }): boolean =>
        Math.abs(left.centre - right.centre) >= left.half + right.half;
      shown.forEach((mark, place) => {
        for (const other of [...kept, ...shown.slice(0, place)]) expect(apart(mark, other)).toBe(true);
      });
      for (const mark of marks) {
        if (!shown.includes(mark)) expect([...kept, ...shown].some((other) => !apart(mark, other))).toBe(true);
      }
    }),
  );
});

describe("fitText", () => {
  test("leaves short text alone and ends long text in an ellipsis", () => {
    expect(fitText("cat", 30, measure)).toBe("cat");
    expect(fitText("because", 50, measure)).toBe("beca…");
    expect(measure(fitText("because", 50, measure))).toBeLessThanOrEqual(50);
  });

  test("never cuts an emoji made of several in two", () => {
    const family = "👩‍👩‍👧";
    expect(fitText(`a${family}${family}`, 10 * [...family].length + 20, measure)).toBe(`a${family}…`);
  });

  test("measures no more than the beginning of a very long token", () => {
    let longest = 0;
    const counting = (text: string): number => {
      longest = Math.max(longest, text.length);
      return measure(text);
    };
    expect(fitText("x".repeat(10_000), 60, counting)).toBe("xxxxx…");
    expect(longest).toBeLessThanOrEqual(201);
  });
});

test("the widest label is cut to the room", () => {
  expect(widestLabel(["a", "abc", "ab"], 200, measure)).toBe(30);
  expect(widestLabel(["a", "x".repeat(5000)], 120, measure)).toBe(120);
  expect(widestLabel([], 120, measure)).toBe(0);
});

test("column labels are level where they fit, else leaning, else upright", () => {
  expect([columnTurn(60, 40), columnTurn(30, 40), columnTurn(10, 40)]).toEqual([0, 60, 90]);
  expect(turnedSpacing(0, 14, 40)).toBe(48);
  expect(turnedSpacing(60, 14, 40)).toBeCloseTo(16.17, 2);
  expect(turnedSpacing(90, 14, 40)).toBe(14);
});

test("two right-to-left tokens around an arrow stay on their sides", () => {
  const token = (text: string, position: number) => ({ position, whole: text, text, special: false, part: "" });
  expect(pairTitle(token("שלום", 3), token("ߒߞߏ", 4))).toBe("“\u2068שלום\u2069” 3 → “\u2068ߒߞߏ\u2069” 4");
  const pointed = { query: 3, key: 4, weight: 0.5, most: 0.5, among: [1, 1] as const };
  expect(describePointed(pointed, ["שלום", "مرحبا"], { text: "0.5" }).title).toBe("\u2068שלום\u2069 → \u2068مرحبا\u2069");
});

test("right-to-left labels are isolated from what is around them, others left alone", () => {
  expect(isolated("cat…")).toBe("cat…");
  expect(isolated("שלום…")).toBe("\u2068שלום…\u2069");
});

describe("heatTicks", () => {
  test("the linear scale has its ends and its middle", () => {
    expect(heatTicks({ scale: "linear", max: 0.8 }, 180).map((tick) => tick.text)).toEqual(["0", "0.4", "0.8"]);
  });

  test("the logarithmic scale has round powers of ten where they fit, at their own places", () => {
    const ticks = heatTicks({ scale: "log", max: 0.5 }, 400);
    expect(ticks.map((tick) => tick.text).filter((text) => text !== "")).toEqual(["≤0.00005", "0.5", "0.1", "0.01", "0.001"]);
    expect(ticks.find((tick) => tick.text === "0.01")?.share).toBeCloseTo(1 + Math.log10(0.02) / 4, 12);
  });

  test("the logarithmic scale has a tick at every power of ten, and numbers at four places or more that never touch", () => {
    expect(heatTicks({ scale: "log", max: 0.5 }, 120).filter((tick) => tick.text === "").length).toBeGreaterThan(0);
    for (const max of [1, 0.976, 0.5, 0.339, 0.134, 0.05, 0.02]) {
      const width = legendWidth("log");
      const ticks = heatTicks({ scale: "log", max }, width);
      const written = ticks.filter((tick) => tick.text !== "").sort((left, right) => left.share - right.share);
      expect(written.length).toBeGreaterThanOrEqual(4);
      expect(ticks.length).toBeGreaterThanOrEqual(5);
      const reach = written.map(({ share, text }) => {
        const begin = share * width - text.length * 6 * (share === 0 ? 0 : share === 1 ? 1 : 0.5);
        return [begin, begin + text.length * 6] as const;
      });
      for (let place = 1; place < reach.length; place += 1) expect(reach[place]?.[0] ?? 0).toBeGreaterThan(reach[place - 1]?.[1] ?? 0);
    }
  });
});
