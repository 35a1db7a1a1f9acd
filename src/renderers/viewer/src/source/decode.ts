/** From the text in a page's block to numbers: base64, zlib, and the encodings of docs/page-format.md. */

import { TINY } from "./rounding";

/** 16 octaves below 1 in the codes 2 to 255; code 0 is exactly 0, code 1 anything between it and code 2. */
const LOG8_VALUES = Float32Array.from({ length: 256 }, (_, code) => (code < 2 ? code * TINY : 2 ** (((code - 255) * 16) / 254)));

type WithFromBase64 = typeof Uint8Array & { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> };

export function bytesOfBase64(text: string): Uint8Array<ArrayBuffer> {
  // The browser's own decoder is several times quicker, where there is one.
  const native = (Uint8Array as WithFromBase64).fromBase64;
  if (native !== undefined) return native.call(Uint8Array, text);
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let place = 0; place < bytes.length; place += 1) bytes[place] = characters.charCodeAt(place);
  return bytes;
}

/** Undoes zlib. Rejects when the bytes are damaged. */
export async function inflated(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const { readable, writable } = new DecompressionStream("deflate");
  // Written by hand: a Blob goes to another process and back, and the page draws unfinished frames meanwhile.
  const writer = writable.getWriter();
  const written = Promise.all([writer.write(bytes), writer.close()]);
  // What cannot be written cannot be read either, and is told there.
  written.catch(() => undefined);
  return joined(await chunksOf(readable));
}

async function chunksOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Uint8Array<ArrayBuffer>[]> {
  const reader = stream.getReader();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for (let part = await reader.read(); !part.done; part = await reader.read()) chunks.push(part.value);
  return chunks;
}

function joined(chunks: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

export function log8(codes: Uint8Array): Float32Array {
  const values = new Float32Array(codes.length);
  for (let place = 0; place < codes.length; place += 1) values[place] = LOG8_VALUES[codes[place]!]!;
  return values;
}

/** Codes out of their differences to the row before, modulo 256, in every head of `rows` x `columns` of them. */
export function summedRows(differences: Uint8Array, rows: number, columns: number): Uint8Array {
  const codes = differences.slice();
  const head = rows * columns;
  for (let start = 0; start < codes.length; start += head) {
    for (let place = start + columns; place < start + head; place += 1) {
      codes[place]! += codes[place - columns]!;
    }
  }
  return codes;
}

/** What the last bit of a half-precision number is worth, by its exponent. */
const HALF_STEPS = Float32Array.from({ length: 31 }, (_, exponent) => 2 ** (Math.max(1, exponent) - 25));

function half(bits: number): number {
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  const size = exponent === 31 ? (fraction === 0 ? Infinity : NaN) : (exponent === 0 ? fraction : 1024 + fraction) * HALF_STEPS[exponent]!;
  return bits & 0x8000 ? -size : size;
}

/** Half-precision numbers, little-endian. */
export function float16(bytes: Uint8Array): Float32Array {
  const values = new Float32Array(bytes.length / 2);
  for (let place = 0; place < values.length; place += 1) {
    values[place] = half(bytes[2 * place]! | (bytes[2 * place + 1]! << 8));
  }
  return values;
}

/** Two byte planes (all low bytes, then all high ones) as the numbers' own bytes. */
export function interleaved(planes: Uint8Array): Uint8Array {
  const count = planes.length / 2;
  const bytes = new Uint8Array(planes.length);
  for (let place = 0; place < count; place += 1) {
    bytes[2 * place] = planes[place]!;
    bytes[2 * place + 1] = planes[count + place]!;
  }
  return bytes;
}

/** Numbers split into byte planes (all low bytes, then all next bytes, …) put together again. */
export function joinedPlanes(bytes: Uint8Array, count: number, planes: number): Uint32Array {
  const values = new Uint32Array(count);
  for (let plane = 0; plane < planes; plane += 1) {
    const offset = plane * count;
    for (let place = 0; place < count; place += 1) values[place]! |= (bytes[offset + place] ?? 0) << (8 * plane);
  }
  return values;
}

/** Bits packed eight to a byte, the first in the highest bit, as 0 and 1. */
export function unpackedBits(bytes: Uint8Array, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, place) => ((bytes[place >> 3] ?? 0) >> (7 - (place & 7))) & 1);
}
