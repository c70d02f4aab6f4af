/** Two viewports that move together, and stay apart by as much as what matches in them is. */

import { effect } from "@preact/signals";
import { other, type Side } from "./diff_match";
import { type Place, type View, Viewport } from "./viewport";

export function linked() {
  const views = { a: new Viewport("diff-a"), b: new Viewport("diff-b") };
  /** Where b's picture is seen from a's, in units of the pictures. */
  let apart = { x: 0, y: 0 };

  const follow = (side: Side) => {
    const view = views[side].view.value;
    const there = views[other(side)];
    const seen = there.view.peek();
    if (views[side].isApart) {
      const [a, b] = side === "a" ? [view, seen] : [seen, view];
      apart = { x: (b.x - a.x) / view.scale, y: (b.y - a.y) / view.scale };
      if (seen.scale === view.scale) return;
    }
    const sign = side === "a" ? 1 : -1;
    const next = {
      x: view.x + sign * apart.x * view.scale,
      y: view.y + sign * apart.y * view.scale,
      scale: view.scale,
    };
    if (!isSame(seen, next)) there.view.value = next;
  };

  return {
    ...views,
    start: () => {
      const stopA = effect(() => follow("a"));
      const stopB = effect(() => follow("b"));
      return () => {
        stopA();
        stopB();
      };
    },
    /** Moves the other side so that its place stands as high as the one of `side`. */
    align: (side: Side, here: Place | undefined, there: Place | undefined) => {
      if (here === undefined || there === undefined) return;
      const { x, y, scale } = views[side].view.peek();
      const middle = (place: Place) => place.x + place.width / 2;
      const moved = views[other(side)];
      moved.apart(() => {
        moved.view.value = {
          x: x + (middle(here) - middle(there)) * scale,
          y: y + (here.y - there.y) * scale,
          scale,
        };
      });
    },
  };
}

function isSame(a: View, b: View): boolean {
  return (
    Math.abs(a.x - b.x) < 0.01 && Math.abs(a.y - b.y) < 0.01 && Math.abs(a.scale - b.scale) < 1e-9
  );
}
