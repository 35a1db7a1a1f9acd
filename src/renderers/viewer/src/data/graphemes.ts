/** Text in characters as a reader counts them. */

/** Made when a text is first cut, which most pages never do: the browser takes milliseconds for it. */
let segmenter: Intl.Segmenter | undefined;

/** Browsers without a segmenter cut between code points, which may part an emoji from its skin tone. */
export function graphemes(text: string): string[] {
  if (!("Segmenter" in Intl)) return [...text];
  segmenter ??= new Intl.Segmenter(undefined, { granularity: "grapheme" });
  return [...segmenter.segment(text)].map((part) => part.segment);
}
