/** Says which weights a build has, and what that means for its classes. */

import type { Schemas } from "../api/client";

export function spellWeights({ restore, spec }: Schemas["Build"]): string {
  const seed = seedOf(spec.weights);
  if (restore === null) {
    return `Random weights${seed === null ? "" : ` (seed ${seed})`}: the classes mean nothing until weights are loaded.`;
  }
  const sources = restore.sources.map(({ source }) => `${source.source} ${source.id.slice(0, 8)}`);
  const from = `from ${sources.join(" and ")}`;
  if (restore.share >= 1) return `All weights are restored ${from}.`;
  return `${(100 * restore.share).toFixed(1)} % of the parameters are restored ${from}; the rest are as initialized.`;
}

function seedOf(weights: Schemas["BuildSpec"]["weights"]): number | null {
  const sources = [weights ?? []].flat();
  for (const source of sources) {
    if (source.source === "random") return source.seed;
  }
  return null;
}
