/** The worker in which graphs are laid out, so that the page goes on meanwhile. */

import type { GroupToLay } from "./collapse";
import { type Layout, layouts, type Size } from "./layout";

export interface LayoutRequest {
  readonly groups: readonly GroupToLay[];
  readonly sizes: ReadonlyMap<string, Size>;
}
export type LayoutAnswer = { readonly layout: Layout } | { readonly error: string };

// The page's types are those of a window; a worker's are another library of TypeScript.
const worker = self as unknown as {
  onmessage: ((event: MessageEvent<LayoutRequest>) => void) | null;
  postMessage: (answer: LayoutAnswer) => void;
};

worker.onmessage = ({ data: { groups, sizes } }) => {
  try {
    const steps = layouts(groups, sizes);
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
