/** Numbers as text, with no digit that the source is not good for. */

/** A weight from 0 to 1; what is too small to show is said to be, and never shown as 0. */
export function formatWeight(weight: number, decimals: number): string {
  if (Number.isNaN(weight)) return "NaN";
  const least = 10 ** -decimals;
  if (weight > 0 && weight < least / 2) return `<${least.toFixed(decimals)}`;
  return weight.toFixed(decimals);
}

export function formatPercent(share: number | null): string {
  if (share === null || Number.isNaN(share)) return "–";
  const percent = 100 * share;
  if (percent > 0 && percent < 0.1) return "<0.1 %";
  return `${percent.toFixed(percent < 10 ? 1 : 0)} %`;
}

/** A figure such as bits or tokens, with a dash where it means nothing. */
export function formatFigure(figure: number | null | undefined, decimals = 2): string {
  return figure === null || figure === undefined || Number.isNaN(figure) ? "–" : figure.toFixed(decimals);
}
