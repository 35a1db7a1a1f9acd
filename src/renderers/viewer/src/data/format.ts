/** Figures of heads and tokens as text; weights are in shell/numbers.ts. */

/** 0 to 1 as "98.7 %"; less than all is never rounded up to "100 %", and more than nothing never down to "0 %". */
export function formatPercent(share: number | null | undefined): string {
  if (share === null || share === undefined || Number.isNaN(share)) return "–";
  const percent = 100 * share;
  if (percent > 0 && percent < 0.1) return "< 0.1 %";
  if (percent < 100 && percent >= 99.95) return "> 99.9 %";
  return `${percent.toFixed(percent < 10 || (percent > 99 && percent < 100) ? 1 : 0)} %`;
}

/** A figure such as bits or tokens, with a dash where it means nothing. */
export function formatFigure(figure: number | null | undefined, decimals = 2): string {
  return figure === null || figure === undefined || Number.isNaN(figure) ? "–" : figure.toFixed(decimals);
}

/** A count with its thousands apart: "1,024". The browser's own formatter takes milliseconds to wake up. */
export function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}
