/** Where a tooltip or a popup goes, so that all of it is seen. */

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Room between the pointer and the tooltip. */
const GAP = 14;
/** Room between the tooltip and the edge. */
const EDGE = 6;

/**
 * Right below the pointer when there is room; else on the other side of it; else slid along the edge, but never under
 * the pointer.
 */
export function beside(pointer: { x: number; y: number }, size: Size, bounds: Box): { left: number; top: number } {
  const right = pointer.x + GAP + size.width + EDGE <= bounds.right;
  const left = pointer.x - GAP - size.width;
  if (right) return { left: pointer.x + GAP, top: slide(pointer.y + GAP, size.height, bounds.top, bounds.bottom) };
  if (left >= bounds.left + EDGE) return { left, top: slide(pointer.y + GAP, size.height, bounds.top, bounds.bottom) };
  const below = pointer.y + GAP + size.height + EDGE <= bounds.bottom;
  const top = below ? pointer.y + GAP : Math.max(bounds.top + EDGE, pointer.y - GAP - size.height);
  return { left: slide(pointer.x, size.width, bounds.left, bounds.right), top };
}

function slide(start: number, length: number, low: number, high: number): number {
  return Math.max(low + EDGE, Math.min(start, high - EDGE - length));
}
