import { lab, rgb } from "d3-color";
import { describe, expect, it } from "vitest";
import { coloursFor, seriesColour } from "../../src/draw/colours";

/** Contrast as WCAG 2.2 defines it. */
function contrast(first: string, second: string): number {
  const [dark, light] = [luminance(first), luminance(second)].sort((a, b) => a - b) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

function luminance(colour: string): number {
  const { r, g, b } = rgb(colour);
  const [red, green, blue] = [r, g, b].map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** What somebody without the cones for green, or for red, sees: Machado, Oliveira & Fernandes (2009), on linear light. */
const SIGHT: Record<string, readonly (readonly [number, number, number])[]> = {
  normal: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  deuteranopia: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  protanopia: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
};

function seen(colour: string, sight: string): { l: number; a: number; b: number } {
  const { r, g, b } = rgb(colour);
  const light = [r, g, b].map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4)) as [number, number, number];
  const [red, green, blue] = SIGHT[sight]!.map((row) => {
    const sum = Math.min(1, Math.max(0, row[0] * light[0] + row[1] * light[1] + row[2] * light[2]));
    return 255 * (sum <= 0.0031308 ? 12.92 * sum : 1.055 * sum ** (1 / 2.4) - 0.055);
  }) as [number, number, number];
  return lab(rgb(red, green, blue));
}

/** CIE 1976; 2.3 is what can just be told apart side by side. */
function difference(left: string, right: string, sight: string): number {
  const [first, second] = [seen(left, sight), seen(right, sight)];
  return Math.hypot(first.l - second.l, first.a - second.a, first.b - second.b);
}

describe.each([false, true])("colours, dark %s", (dark) => {
  const colours = coloursFor(dark);

  it.each(Object.keys(SIGHT))("keeps the colours of 2 to 12 heads, and of their mean, apart: %s", (sight) => {
    for (let total = 2; total <= 12; total += 1) {
      const heads = Array.from({ length: total }, (_, place) => colours.head(place, total));
      for (let first = 0; first < total; first += 1) {
        for (let second = 0; second < first; second += 1) {
          expect(difference(heads[first]!, heads[second]!, sight)).toBeGreaterThan(total <= 3 ? 45 : 18.5);
        }
        expect(difference(heads[first]!, colours.mean, sight)).toBeGreaterThan(12);
      }
    }
  });

  it("draws a mean in ink, and a single head in its colour, also where it is a mean over layers", () => {
    expect(seriesColour(colours, { colour: 0, heads: [0, 1] }, 12)).toBe(colours.mean);
    expect(seriesColour(colours, { colour: 3, heads: [3] }, 12)).toBe(colours.head(3, 12));
  });

  it("gives 12 and 64 heads colours of their own that can be seen", () => {
    for (const total of [1, 12, 13, 32, 64]) {
      const heads = Array.from({ length: total }, (_, place) => colours.head(place, total));
      expect(new Set(heads).size).toBe(total);
      for (const head of heads) expect(contrast(head, colours.background)).toBeGreaterThanOrEqual(3);
    }
  });

  it("keeps text legible", () => {
    for (const surface of [colours.background, colours.surface]) {
      expect(contrast(colours.text, surface)).toBeGreaterThanOrEqual(7);
      expect(contrast(colours.muted, surface)).toBeGreaterThanOrEqual(4.5);
      expect(contrast(colours.accent, surface)).toBeGreaterThanOrEqual(4.5);
    }
  });

  it("goes from the background steadily away in lightness", () => {
    const levels = Array.from({ length: 256 }, (_, place) => lab(colours.heat(place / 255)).l);
    const away = levels.map((level) => (dark ? level : -level));
    expect(rgb(colours.heat(0)).formatHex()).toBe(colours.background);
    for (let place = 1; place < away.length; place += 1) expect(away[place]!).toBeGreaterThan(away[place - 1]!);
    expect([...colours.heatTable.slice(0, 3)]).toEqual(Object.values(rgb(colours.background)).slice(0, 3));
  });

  it("has the background in the middle of its two-sided scale", () => {
    expect(rgb(colours.diverging(0)).formatHex()).toBe(colours.background);
    expect(colours.diverging(-1)).not.toBe(colours.diverging(1));
  });
});
