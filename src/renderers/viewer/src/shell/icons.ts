/** The few pictures on buttons, 16 x 16, drawn with strokes in the text's colour. */

const SVG = "http://www.w3.org/2000/svg";

/** Each is the `d` of one path. */
const PATHS = {
  previous: "M10 3.5 5.5 8l4.5 4.5",
  next: "M6 3.5 10.5 8 6 12.5",
  close: "m4.5 4.5 7 7m0-7-7 7",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9Zm3.3-1.2L14 14",
  filter: "M2.5 4.5h11M4.5 8h7M6.5 11.5h3",
  download: "M8 2.5v7.5m-3-3 3 3 3-3M3 13.5h10",
  panel: "M3.5 2.5h9a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1h-9a1 1 0 0 1-1-1v-9a1 1 0 0 1 1-1Zm6.5 0v11",
  help: "M6 6a2 2 0 1 1 2.9 1.8c-.6.3-.9.7-.9 1.4M8 11.4v.2M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0Z",
  auto: "M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0ZM8 2v12m1-11.8v11.6m1.5-11v10.4m1.5-9v7.6",
  light: "M10.5 8a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0ZM8 1.5v1.2m0 10.6v1.2M1.5 8h1.2m10.6 0h1.2M3.4 3.4l.9.9m7.4 7.4.9.9m0-9.2-.9.9m-7.4 7.4-.9.9",
  dark: "M13.5 9.4A5.8 5.8 0 0 1 6.6 2.5a5.8 5.8 0 1 0 6.9 6.9Z",
} as const;

export type IconName = keyof typeof PATHS;

export function icon(name: IconName): SVGSVGElement {
  const picture = document.createElementNS(SVG, "svg");
  const attributes = { viewBox: "0 0 16 16", width: "16", height: "16", "aria-hidden": "true", class: "attn-icon" };
  for (const [key, value] of Object.entries(attributes)) picture.setAttribute(key, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  picture.append(path);
  return picture;
}
