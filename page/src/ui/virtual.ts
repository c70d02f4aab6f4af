/** Rows of which only those in view are rendered. */

import {
  defaultRangeExtractor,
  elementScroll,
  observeElementOffset,
  observeElementRect,
  Virtualizer,
} from "@tanstack/virtual-core";
import type { RefObject } from "preact";
import { useLayoutEffect, useReducer, useState } from "preact/hooks";

export interface VirtualRows {
  /** The indices to render, ascending; not all are neighbours. */
  readonly indices: readonly number[];
  /** Scrolls as little as brings a row into view. */
  readonly show: (index: number) => void;
  readonly perPage: number;
}

/**
 * Returns the rows to render inside a scrolling element; all rows have one height.
 *
 * The row `kept`, which has the focus, is rendered wherever it is. `head` is the height of the head
 * that stays above the rows.
 */
export function useVirtualRows(
  scroller: RefObject<HTMLElement | null>,
  count: number,
  height: number,
  head: number,
  kept: number,
): VirtualRows {
  const [, rerender] = useReducer<number, void>((number) => number + 1, 0);
  const options = {
    count,
    estimateSize: () => height,
    getScrollElement: () => scroller.current,
    observeElementRect,
    observeElementOffset,
    scrollToFn: elementScroll,
    onChange: () => rerender(),
    overscan: 8,
    scrollPaddingStart: head,
    scrollMargin: head,
    rangeExtractor: (range: Parameters<typeof defaultRangeExtractor>[0]) => {
      const indices = defaultRangeExtractor(range);
      if (kept < 0 || kept >= count || indices.includes(kept)) return indices;
      return [...indices, kept].sort((a, b) => a - b);
    },
  };
  const [virtualizer] = useState(() => new Virtualizer<HTMLElement, HTMLElement>(options));
  virtualizer.setOptions({ ...virtualizer.options, ...options });
  useLayoutEffect(() => virtualizer._didMount(), [virtualizer]);
  useLayoutEffect(() => virtualizer._willUpdate());
  return {
    indices: virtualizer.getVirtualItems().map((item) => item.index),
    show: (index) => virtualizer.scrollToIndex(index),
    perPage: Math.max(1, Math.floor(((virtualizer.scrollRect?.height ?? 0) - head) / height) - 1),
  };
}
