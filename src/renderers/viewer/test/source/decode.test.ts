import { describe, expect, it } from "vitest";
import { bytesOfBase64, float16, inflated, joinedPlanes, log8, summedRows, unpackedBits } from "../../src/source/decode";
import { deflateSync } from "node:zlib";

describe("decoding", () => {
  it("reads base64 and zlib", async () => {
    const text = deflateSync(Uint8Array.from([1, 2, 3, 250])).toString("base64");
    expect([...(await inflated(bytesOfBase64(text)))]).toEqual([1, 2, 3, 250]);
  });

  it("rejects damaged bytes", async () => {
    await expect(inflated(Uint8Array.from([1, 2, 3]))).rejects.toThrow();
  });

  it("reads logarithmic codes: 0 is 0, 255 is 1, each 254th of 16 octaves below it", () => {
    const values = log8(Uint8Array.from([0, 255, 128, 1]));
    expect(values[0]).toBe(0);
    expect(values[1]).toBe(1);
    expect(values[2]).toBeCloseTo(2 ** -8, 9);
    expect(values[3]).toBe(2 ** -20);
  });

  it("reads half precision, also subnormal, infinite and not a number", () => {
    const bits = new Uint16Array([0x3c00, 0xb800, 0x0001, 0x7c00, 0x7e00, 0x3555]);
    const values = float16(new Uint8Array(bits.buffer));
    expect([...values.slice(0, 4)]).toEqual([1, -0.5, 2 ** -24, Infinity]);
    expect(values[4]).toBeNaN();
    expect(values[5]).toBe(0.333251953125);
  });

  it("reads all half-precision numbers as they are defined", () => {
    const bits = Uint16Array.from({ length: 65_536 }, (_, place) => place);
    const values = float16(new Uint8Array(bits.buffer));
    for (const code of bits) {
      const [exponent, fraction] = [(code >> 10) & 31, code & 1023];
      const size = exponent === 31 ? (fraction === 0 ? Infinity : NaN) : exponent === 0 ? (fraction / 1024) * 2 ** -14 : (1 + fraction / 1024) * 2 ** (exponent - 15);
      if (!Object.is(values[code], code >= 32_768 ? -size : size)) throw new Error(`${code} reads ${values[code]}`);
    }
  });

  it("unpacks what is larger than one piece of the stream", async () => {
    const bytes = Uint8Array.from({ length: 300_000 }, (_, place) => (place * place) >> 3);
    expect(Buffer.compare(await inflated(new Uint8Array(deflateSync(bytes))), bytes)).toBe(0);
  });

  it("joins byte planes, the low bytes first", () => {
    expect([...joinedPlanes(Uint8Array.from([1, 2, 0, 1]), 2, 2)]).toEqual([1, 258]);
  });

  it("sums differences from row to row, modulo 256, and begins anew in each head", () => {
    const differences = Uint8Array.from([7, 255, 250, 2, 1, 255, 9, 8, 1, 0, 0, 0]);
    expect([...summedRows(differences, 3, 2)]).toEqual([7, 255, 1, 1, 2, 0, 9, 8, 10, 8, 10, 8]);
    expect(differences[2]).toBe(250);
  });

  it("unpacks bits from the highest", () => {
    expect([...unpackedBits(Uint8Array.from([0b10100000, 0b10000000]), 9)]).toEqual([1, 0, 1, 0, 0, 0, 0, 0, 1]);
  });
});
