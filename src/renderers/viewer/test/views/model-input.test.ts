import { expect, it } from "vitest";
import { movedCell } from "../../src/views/model-input";

const WIDTHS = [4, 2, 4];

it.each([
  ["ArrowRight", { row: 0, column: 3 }, { row: 0, column: 3 }],
  ["ArrowLeft", { row: 0, column: 3 }, { row: 0, column: 2 }],
  ["ArrowDown", { row: 0, column: 3 }, { row: 1, column: 1 }],
  ["ArrowUp", { row: 0, column: 1 }, { row: 0, column: 1 }],
  ["Home", { row: 2, column: 3 }, { row: 2, column: 0 }],
  ["End", { row: 1, column: 0 }, { row: 1, column: 1 }],
  ["PageUp", { row: 2, column: 1 }, { row: 0, column: 1 }],
  ["PageDown", { row: 0, column: 3 }, { row: 2, column: 3 }],
])("%s goes to a neighbour and stays inside", (key, from, to) => {
  expect(movedCell(key, from, WIDTHS)).toEqual(to);
});

it("leaves other keys, and an empty grid, alone", () => {
  expect(movedCell("x", { row: 0, column: 0 }, WIDTHS)).toBeNull();
  expect(movedCell("ArrowDown", { row: 0, column: 0 }, [])).toBeNull();
});
