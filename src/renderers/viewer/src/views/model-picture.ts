/** The enlarged head's picture: its weights, with tokens along its sides where there are few, and its largest weight. */

import { create } from "d3-selection";
import { labelOf, shortened } from "../data/tokens";
import { drawRuler, measureText, textGroup } from "../draw/rulers-draw";
import { rulerMarks, widestLabel, type RulerMark } from "../draw/rulers";
import { element, refill } from "../shell/dom";
import type { AxisInfo } from "../source/trace-info";
import type { MatrixTile } from "./matrix-tiles";
import type { PreviewPlace } from "./model-layout";
import { rangeOf, thumbnail } from "./model-tiles";
import type { ViewContext } from "./view";

/** Room for labels at the left and the top, and for the words below. */
const LABELS = 58;
const TITLE = 16;
const WORDS_BELOW = 20;
const RIGHT = 16;
/** Room for a position of five digits. */
const POSITIONS = 38;
/** More tokens than this would be too close to each other to be read: then there are positions. */
const MOST_TOKENS = 24;
const LINE = 11;
const NUMBER = 40;
const LONGEST_LABEL = 20;

/** Pixels of the weights' square in a preview of `size`: its width beside the grid, its height below. */
export function pictureSide(place: PreviewPlace, size: number): number {
  if (place === "beside") return Math.max(60, size - LABELS - TITLE - RIGHT);
  return Math.max(60, size - LABELS - TITLE - WORDS_BELOW - 8);
}

export class PreviewPicture {
  readonly element = element("div", { class: "attn-model-picture" });
  private readonly canvas = element("canvas", { class: "attn-model-large", width: 1, height: 1 });
  private readonly rulers = element("div", { class: "attn-model-rulers" });
  private readonly words = element("div", { class: "attn-model-most attn-muted" });
  private drawn = "";

  constructor(private readonly context: ViewContext) {
    this.element.append(this.rulers, this.canvas, this.words);
  }

  paint(tile: MatrixTile, side: number): void {
    const { canvas, context } = this;
    const image = thumbnail(tile, Math.round(side * Math.min(2, window.devicePixelRatio || 1)), context);
    canvas.width = image.width;
    canvas.height = image.height;
    canvas.getContext("2d")?.putImageData(image, 0, 0);
    const left = this.labelRoom();
    this.element.style.width = `${left + TITLE + side}px`;
    this.element.style.height = `${left + TITLE + side + WORDS_BELOW}px`;
    Object.assign(canvas.style, { left: `${left + TITLE}px`, top: `${left + TITLE}px`, width: `${side}px`, height: `${side}px` });
    this.words.style.left = `${left + TITLE}px`;
    this.words.textContent = `Largest weight ${context.format(rangeOf(tile, "linear").max)}`;
    this.drawRulers(side, left);
  }

  /** Long labels get more room, up to a limit. */
  private labelRoom(): number {
    const labels = [this.axis("query"), this.axis("key")].map(({ count, label }) =>
      count > MOST_TOKENS ? POSITIONS : widestLabel(Array.from({ length: count }, (_, row) => label(row)), LABELS, measureText) + 8,
    );
    return Math.min(LABELS, Math.max(...labels));
  }

  private axis(side: "query" | "key"): { count: number; label(row: number): string; position(row: number): number } {
    const { reader, store } = this.context;
    const positions = side === "query" ? reader.queries() : reader.keys();
    const axis: AxisInfo = side === "query" ? this.context.queryAxis() : this.context.keyAxis();
    const label = (row: number): string => shortened(labelOf(axis, store.selection.item, positions[row] ?? 0), LONGEST_LABEL);
    return { count: positions.length, label, position: (row) => positions[row] ?? 0 };
  }

  private marks(side: "query" | "key", length: number): readonly RulerMark[] {
    const { count, label, position } = this.axis(side);
    const few = count <= MOST_TOKENS;
    const request = { count, cell: length / Math.max(1, count), offset: 0, length, spacing: few ? LINE : 1e9, numberSpacing: NUMBER, inOrder: true };
    return rulerMarks({ ...request, label, position }).marks;
  }

  /** They stay the same from head to head, and are only drawn when they do not. */
  private drawRulers(side: number, room: number): void {
    const colours = this.context.colours();
    const [across, down] = [this.marks("key", side), this.marks("query", side)];
    const state = JSON.stringify([side, room, colours.dark, across, down]);
    if (state === this.drawn) return;
    this.drawn = state;
    const size = room + TITLE + side;
    const svg = create("svg:svg").attr("width", size).attr("height", size);
    const corner = room + TITLE;
    const node = svg.node() as SVGSVGElement;
    const style = { length: side, colours, measure: measureText, room };
    const few = this.axis("key").count <= MOST_TOKENS;
    const top = textGroup(node).attr("transform", `translate(${corner},${corner})`);
    drawRuler(top, across, [], { ...style, side: "top", turn: few ? 90 : 0 });
    const left = textGroup(node).attr("transform", `translate(${corner},${corner})`);
    drawRuler(left, down, [], { ...style, side: "left", turn: 0 });
    const names = textGroup(node).attr("fill", colours.muted);
    names.append("text").attr("x", corner + side / 2).attr("y", 10).attr("text-anchor", "middle").text("attended (keys) →");
    names.append("text").attr("transform", `translate(10,${corner + side / 2}) rotate(-90)`).attr("text-anchor", "middle").text("← attending (queries)");
    refill(this.rulers, node);
  }
}
