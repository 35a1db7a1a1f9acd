import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { piecesOf } from "../../src/views/matrix-pieces";

describe("piecesOf", () => {
  test("asks for one range where positions follow one another", () => {
    expect(piecesOf([5, 6, 7, 8, 9, 10], 0, 6, 2)).toEqual([{ start: 5, stop: 11, cell: 0, cells: 3, cellOf: null }]);
  });

  test("cuts at hidden tokens and at the edges of cells", () => {
    const pieces = piecesOf([0, 1, 2, 4, 5, 6, 7, 8], 0, 8, 4);
    expect(pieces.map(({ start, stop, cell, cells }) => [start, stop, cell, cells])).toEqual([[0, 3, 0, 1], [4, 5, 0, 1], [5, 9, 1, 1]]);
  });

  test("cover every position once, in its own cell, whatever the order", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 6000 }), { minLength: 1, maxLength: 60 }), fc.boolean(), fc.integer({ min: 1, max: 7 }), (drawn, sorted, step) => {
        const positions = sorted ? [...drawn].sort((left, right) => left - right) : drawn;
        const found = new Map<number, number>();
        for (const piece of piecesOf(positions, 0, positions.length, step)) {
          const each = (piece.stop - piece.start) / piece.cells;
          for (let position = piece.start; position < piece.stop; position += 1) {
            const at = position - piece.start;
            const cell = piece.cellOf === null ? piece.cell + Math.floor(at / each) : (piece.cellOf[at] ?? -1);
            if (cell >= 0) found.set(position, cell);
          }
        }
        expect(found).toEqual(new Map(positions.map((position, index) => [position, Math.floor(index / step)])));
      }),
    );
  });
});
