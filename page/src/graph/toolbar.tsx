/** The controls above and on a graph: depth, zoom, and files of the picture. */

import { useState } from "preact/hooks";
import { asProblem, type Problem } from "../api/client";
import { ProblemNote } from "../ui/problem";
import { deepest, depthOf, type Expanded, expandedTo } from "./collapse";
import type { Size } from "./layout";
import type { Tree } from "./tree";
import type { Viewport } from "./viewport";

export function DepthStepper({
  tree,
  expanded,
  setExpanded,
}: {
  tree: Tree;
  expanded: Expanded;
  setExpanded: (expanded: Expanded, depth: number) => void;
}) {
  const most = deepest(tree);
  const depth = depthOf(tree, expanded);
  // Between two depths, a step leads to the even one nearest below or above.
  const near = depth ?? evenBelow(tree, expanded);
  const to = (next: number) => setExpanded(expandedTo(tree, next), next);
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset cannot be laid out in a row in all browsers
    <div class="depth" role="group" aria-label="Depth of scopes">
      <button type="button" onClick={() => to(1)} disabled={expanded.size === 0}>
        Collapse all
      </button>
      <button
        type="button"
        aria-label="One level less deep"
        disabled={expanded.size === 0}
        onClick={() => to(depth === null ? near : near - 1)}
      >
        −
      </button>
      <output aria-live="polite">
        Depth {depth ?? `${near}+`} of {most}
      </output>
      <button
        type="button"
        aria-label="One level deeper"
        disabled={depth === most}
        onClick={() => to(near + 1)}
      >
        +
      </button>
      <button type="button" onClick={() => to(most)} disabled={depth === most}>
        Expand all
      </button>
    </div>
  );
}

/** Returns the greatest depth to which all groups are open. */
function evenBelow(tree: Tree, expanded: Expanded): number {
  let depth = 1;
  while (
    [...expandedTo(tree, depth + 1)].every((id) => expanded.has(id)) &&
    depth < deepest(tree)
  ) {
    depth += 1;
  }
  return depth;
}

export function ZoomButtons({ viewport, picture }: { viewport: Viewport; picture: () => Size }) {
  return (
    <div class="zoom">
      <button
        type="button"
        aria-label="Zoom in"
        title="Zoom in (+)"
        onClick={() => viewport.zoom(1.25)}
      >
        +
      </button>
      <button
        type="button"
        aria-label="Zoom out"
        title="Zoom out (-)"
        onClick={() => viewport.zoom(0.8)}
      >
        −
      </button>
      <button type="button" title="Fit the whole graph (0)" onClick={() => viewport.fit(picture())}>
        Fit
      </button>
    </div>
  );
}

/** Buttons that take a picture away; `save` does, and may fail with a sentence for the reader. */
export function PictureButtons({ save }: { save: (kind: "svg" | "png") => Promise<void> }) {
  const [isSaving, setSaving] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const start = async (kind: "svg" | "png") => {
    setSaving(true);
    setProblem(null);
    try {
      await save(kind);
    } catch (error) {
      setProblem({ ...asProblem(error), title: "The picture was not made" });
    }
    setSaving(false);
  };
  return (
    <>
      <button type="button" disabled={isSaving} onClick={() => void start("svg")}>
        SVG
      </button>
      <button type="button" disabled={isSaving} onClick={() => void start("png")}>
        PNG
      </button>
      {problem && (
        <div class="picture-problem">
          <ProblemNote problem={problem} />
          <button type="button" class="quiet" onClick={() => setProblem(null)}>
            Dismiss
          </button>
        </div>
      )}
    </>
  );
}
