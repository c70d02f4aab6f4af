/** The worker in which graphs are laid out, so that the page goes on meanwhile. */

import { type Expanded, groupsToLay, visibleItems } from "./collapse";
import { type Layout, layouts, type Size } from "./layout";
import type { Skeleton } from "./tree";

export interface LayoutRequest {
  /** Left out where it is that of the request before. */
  readonly tree?: Skeleton;
  readonly expanded: Expanded;
  /** Of each box. */
  readonly size: Size;
}
export type LayoutAnswer = { readonly layout: Layout } | { readonly error: string };

// The page's types are those of a window; a worker's are another library of TypeScript.
const worker = self as unknown as {
  onmessage: ((event: MessageEvent<LayoutRequest>) => void) | null;
  postMessage: (answer: LayoutAnswer) => void;
};

let tree: Skeleton | undefined;

worker.onmessage = ({ data }) => {
  try {
    tree = data.tree ?? tree;
    if (tree === undefined) throw new Error("No tree has come.");
    const sizes = visibleItems(tree, data.expanded).map((id) => [id, data.size] as const);
    const steps = layouts(groupsToLay(tree, data.expanded), new Map(sizes));
    for (;;) {
      const step = steps.next();
      if (step.done) {
        worker.postMessage({ layout: step.value });
        return;
      }
    }
  } catch (error) {
    worker.postMessage({ error: String(error) });
  }
};
