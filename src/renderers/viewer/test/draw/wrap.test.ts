import fc from "fast-check";
import { expect, it } from "vitest";
import { wrapped } from "../../src/draw/wrap";

const measure = (text: string): number => text.length;

it("breaks a sentence between words into lines that fit, and loses none of it", () => {
  expect(wrapped("Weights on the first token are taken out", 14, measure)).toEqual(["Weights on the", "first token", "are taken out"]);
  const words = fc.array(fc.stringMatching(/^[a-z]{1,8}$/), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(words, fc.integer({ min: 8, max: 60 }), (list, room) => {
      const lines = wrapped(list.join(" "), room, measure);
      expect(lines.join(" ")).toBe(list.join(" "));
      for (const line of lines) expect(measure(line)).toBeLessThanOrEqual(room);
    }),
  );
});

it("cuts a word that does not fit by itself", () => {
  expect(wrapped("a encoder.layer.11.attention.self b", 12, measure)).toEqual(["a", "encoder.lay…", "b"]);
});

it("shows what cannot be seen, and keeps right-to-left words in their own direction", () => {
  expect(wrapped("what “\u2068שלום\u2069” (3) \u202e attends to", 60, measure)).toEqual(["what “\u2068שלום\u2069” (3) ‹U+202E› attends to"]);
  expect(wrapped("\u2068שלום", 60, measure)).toEqual(["‹U+2068›שלום"]);
});
