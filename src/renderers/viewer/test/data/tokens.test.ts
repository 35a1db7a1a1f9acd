import { describe, expect, it } from "vitest";
import { labelOf, shortened, visible } from "../../src/data/tokens";
import { axisInfo } from "../helpers/traces";

describe("labels as they are drawn", () => {
  it("gives signs for what cannot be seen", () => {
    expect(visible("a\u0000b\u202ec\n")).toBe("a␀b‹U+202E›c␊");
    expect(visible("\u007f\u0085\ufeff\u200b")).toBe("␡‹U+0085›‹U+FEFF›‹U+200B›");
    expect(visible("\ud83d!")).toBe("\ufffd!");
    expect(visible("")).toBe("∅");
  });

  it("shows white space that stands alone, and leaves it between words", () => {
    expect(visible("  ")).toBe("␣␣");
    expect(visible("\u00a0")).toBe("‹U+00A0›");
    expect(visible(" cat ")).toBe(" cat ");
  });

  it("keeps joiners and marks where words and emoji need them", () => {
    for (const text of ["👩‍👩‍👧", "می‌خواهم", "क्‍ष", "שלום\u200f!", "❤️"]) expect(visible(text)).toBe(text);
    expect(visible("\u200d")).toBe("‹U+200D›");
  });

  it("leaves markup alone: it is text", () => {
    expect(visible("</script><img onerror=alert(1)>")).toBe("</script><img onerror=alert(1)>");
  });

  it("cuts between characters as a reader counts them", () => {
    expect(shortened("👩‍👩‍👧abc", 2)).toBe("👩‍👩‍👧…");
    expect(shortened("👩‍👩‍👧ab", 3)).toBe("👩‍👩‍👧ab");
    expect(shortened("x".repeat(10_000), 5)).toBe("xxxx…");
    expect(shortened(`e${"\u0301".repeat(10_000)}`, 5).length).toBeLessThan(200);
  });

  it("names image patches by row and column, and leaves what is before them", () => {
    const axis = axisInfo(5, { kind: "patch", grid: [2, 2], labels: [["[CLS]", "1", "2", "3", "4"]] });
    expect([0, 1, 4].map((position) => labelOf(axis, 0, position))).toEqual(["[CLS]", "r1 c1", "r2 c2"]);
  });
});
