/** A view's picture as an SVG or a PNG file. */

/** Pixels of the PNG for each of the page's. */
const PIXEL_SCALE = 2;
/** Browsers leave larger canvases blank. */
const MOST_SIDE = 16_000;
const MOST_PIXELS = 100_000_000;

/** "BertModel-head-layer-3.svg"; letters that some file system refuses become dashes. */
export function fileName(parts: readonly string[], ending: string): string {
  const name = parts
    .map((part) => part.replace(/[^\p{L}\p{N}_.]+/gu, "-").replace(/^[-.]+|[-.]+$/g, ""))
    .filter((part) => part !== "")
    .join("-");
  return `${name.slice(0, 120) || "attention"}.${ending}`;
}

export function svgText(picture: SVGSVGElement): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(picture)}\n`;
}

/** The scale at which a picture becomes pixels without being too large for a canvas. */
export function pixelScale(width: number, height: number): number {
  const sides = Math.min(MOST_SIDE / width, MOST_SIDE / height);
  return Math.min(PIXEL_SCALE, sides, Math.sqrt(MOST_PIXELS / (width * height)));
}

/** Throws an `Error` with a sentence for the person when the browser cannot draw the picture. */
export async function pngOf(picture: SVGSVGElement): Promise<Blob> {
  const width = Number.parseFloat(picture.getAttribute("width") ?? "");
  const height = Number.parseFloat(picture.getAttribute("height") ?? "");
  if (!(width > 0 && height > 0)) throw new Error("the view gave a picture without a size; save it as SVG instead");
  const scale = pixelScale(width, height);
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  if (pen === null) throw new Error("this browser gives no canvas to draw on; save it as SVG instead");
  pen.drawImage(await loadImage(svgText(picture)), 0, 0, canvas.width, canvas.height);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (blob === null) throw new Error(`a picture of ${canvas.width} × ${canvas.height} pixels is too large here; save it as SVG instead`);
  return blob;
}

async function loadImage(text: string): Promise<HTMLImageElement> {
  const image = new Image();
  try {
    image.src = await dataAddress(new Blob([text], { type: "image/svg+xml" }));
    await image.decode();
  } catch {
    throw new Error("the browser could not draw the picture; save it as SVG instead");
  }
  return image;
}

/** Notebooks allow images with such addresses where they allow none of blobs. */
function dataAddress(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(new Error("the picture could not be read"));
    reader.readAsDataURL(blob);
  });
}

export function download(blob: Blob, name: string): void {
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // The browser reads the blob after the click has returned.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
