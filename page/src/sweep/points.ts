/** Points, and the one nearest to the pointer. */

export interface Point {
  readonly index: number;
  readonly x: number;
  readonly y: number;
}

/** Returns the point nearest to a place, if one is within `reach`. */
export function nearest(
  points: readonly Point[],
  x: number,
  y: number,
  reach: number,
): Point | undefined {
  let best: Point | undefined;
  let least = reach * reach;
  for (const point of points) {
    const distance = (point.x - x) ** 2 + (point.y - y) ** 2;
    if (distance < least) {
      least = distance;
      best = point;
    }
  }
  return best;
}
