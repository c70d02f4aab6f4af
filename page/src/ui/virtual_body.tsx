/** The body of a table of which only the rows in view are rendered: gaps stand for the others. */

import type { ComponentChild, VNode } from "preact";

export function VirtualBody({
  indices,
  count,
  height,
  row,
}: {
  indices: readonly number[];
  count: number;
  /** That of each row, in pixels. */
  height: number;
  /** Returns a row with a key: it keeps its element, and with that the focus, where it moves. */
  row: (index: number) => VNode | null;
}) {
  const body: ComponentChild[] = [];
  let end = 0;
  for (const index of indices) {
    if (index >= count) break;
    if (index > end) {
      body.push(<Gap key={`gap before ${index}`} height={(index - end) * height} />);
    }
    body.push(row(index));
    end = index + 1;
  }
  if (count > end) body.push(<Gap key="gap at the end" height={(count - end) * height} />);
  return <tbody>{body}</tbody>;
}

function Gap({ height }: { height: number }) {
  // biome-ignore lint/a11y/noAriaHiddenOnFocusable: a row without cells takes no focus
  return <tr class="row-gap" aria-hidden="true" style={{ height: `${height}px` }} />;
}
