/** Where an arrow key leads from a box. */

import type { Box } from "./layout";

const DIRECTIONS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
};

/** Returns the nearest box in the key's direction, the first or the last; undefined at the border. */
export function neighbour(
  boxes: ReadonlyMap<string, Box>,
  from: string | undefined,
  key: string,
): string | undefined {
  if (key === "Home") return boxes.keys().next().value;
  if (key === "End") return [...boxes.keys()].at(-1);
  const direction = DIRECTIONS[key];
  const start = from === undefined ? undefined : boxes.get(from);
  if (direction === undefined || start === undefined) return undefined;
  const [right, down] = direction;
  const here = middleOf(start);
  let nearest: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const box of boxes.values()) {
    if (box.id === from) continue;
    const there = middleOf(box);
    const ahead = (there.x - here.x) * right + (there.y - here.y) * down;
    const aside = Math.abs((there.x - here.x) * down) + Math.abs((there.y - here.y) * right);
    if (ahead <= 1) continue;
    // What lies straight ahead comes before what is nearer, but aside.
    const distance = ahead + 3 * aside;
    if (distance < least) {
      least = distance;
      nearest = box.id;
    }
  }
  return nearest;
}

/** Returns the middle of a box; that of a frame is in its head. */
function middleOf(box: Box): { x: number; y: number } {
  return { x: box.x + box.width / 2, y: box.y + (box.isOpen ? 12 : box.height / 2) };
}
