/** What of the graph is open and how it is coloured: kept while other panels are shown. */

import { signal } from "@preact/signals";
import { depthAtFirst, type Expanded, expandedTo } from "./collapse";
import type { GraphDocument, Tree } from "./tree";
import { Viewport } from "./viewport";

/** The open groups of an architecture; of another, those at first are open. */
export const opened = signal<{ readonly architecture: string; readonly expanded: Expanded } | null>(
  null,
);

/** What boxes are coloured by: an argument's name, or a figure's; null until it is chosen. */
export const colour = signal<string | null>(null);
export const current = signal("");
export const wanted = signal<string | null>(null);
export const viewport = signal(new Viewport("graph"));

export function expandedOf(graph: GraphDocument, tree: Tree): Expanded {
  const known = opened.value;
  if (known?.architecture !== graph.architecture) return expandedTo(tree, depthAtFirst(tree));
  const kept = [...known.expanded].filter((id) => tree.items.has(id));
  return kept.length === known.expanded.size ? known.expanded : new Set(kept);
}

export function setExpanded(graph: GraphDocument, expanded: Expanded): void {
  opened.value = { architecture: graph.architecture, expanded };
}
