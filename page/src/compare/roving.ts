/** Rows of which one can be reached with Tab; the arrow keys lead to the others. */

import type { RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { useVirtualRows } from "../ui/virtual";

export interface RovingRows {
  readonly indices: readonly number[];
  /** The row that Tab reaches. */
  readonly current: number;
  readonly setCurrent: (index: number) => void;
  readonly onKeyDown: (event: KeyboardEvent) => void;
}

/**
 * Returns the rows to render; each has `data-index`, and takes the focus itself or in its parts.
 *
 * Parts of rows are told apart by `data-action`: an arrow leads to the same one in the next row.
 */
export function useRovingRows(
  scroller: RefObject<HTMLElement | null>,
  count: number,
  height: number,
  head: number,
): RovingRows {
  const [chosen, setCurrent] = useState(0);
  const current = Math.min(chosen, count - 1);
  const { indices, show, perPage } = useVirtualRows(scroller, count, height, head, current);
  const follows = useRef<string | null>(null);
  useLayoutEffect(() => {
    if (follows.current === null) return;
    const row = scroller.current?.querySelector<HTMLElement>(`[data-index="${current}"]`);
    const part = row?.querySelector<HTMLElement>(`[data-action="${follows.current}"]`);
    (part ?? row)?.focus({ preventScroll: true });
    follows.current = null;
  });
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Record<string, number> = {
      ArrowDown: current + 1,
      ArrowUp: current - 1,
      PageDown: current + perPage,
      PageUp: current - perPage,
      Home: 0,
      End: count - 1,
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(count - 1, step));
    follows.current = document.activeElement?.getAttribute("data-action") ?? "";
    setCurrent(next);
    show(next);
  };
  return { indices, current, setCurrent, onKeyDown };
}
