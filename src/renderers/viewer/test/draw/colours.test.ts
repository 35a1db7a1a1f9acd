import { lab, rgb } from "d3-color";
import { describe, expect, it } from "vitest";
import { coloursFor } from "../../src/draw/colours";

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

describe.each([false, true])("colours, dark %s", (dark) => {
  const colours = coloursFor(dark);

  it("gives 12 and 64 heads colours of their own that can be seen", () => {
    for (const total of [1, 12, 64]) {
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
