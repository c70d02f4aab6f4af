/** What becomes of a level of the request at a layer. */

import { computed } from "@preact/signals";
import { liveBuild } from "../build/live";
import { callsByLayer, levelFates } from "./setters";

export type Fate = "won" | "lost" | "both" | "out" | "none";

const layerNames = computed(
  () => new Set(liveBuild.value?.layers.map((layer) => layer.name) ?? []),
);

/**
 * Returns what becomes of a level at a layer: "out" if it does not reach it, "none" without a level.
 *
 * A level that reaches the call of a block, which is no layer itself, reaches the layers inside it.
 */
export function fateOf(layer: string, place: number | null): Fate {
  if (place === null) return "none";
  const fate = levelFates.value.get(place);
  const names = [layer, ...blocksAround(layer)];
  const won = names.some((name) => fate?.won.has(name));
  const lost = names.some((name) => fate?.lost.has(name));
  return won ? (lost ? "both" : "won") : lost ? "lost" : "out";
}

/** Returns the scopes around a layer that were called as an op, and are no layers, the nearest first. */
export function blocksAround(layer: string): string[] {
  const blocks: string[] = [];
  for (let end = layer.lastIndexOf("/"); end > 0; end = layer.lastIndexOf("/", end - 1)) {
    const scope = layer.slice(0, end);
    if (callsByLayer.value.has(scope) && !layerNames.value.has(scope)) blocks.push(scope);
  }
  return blocks;
}
