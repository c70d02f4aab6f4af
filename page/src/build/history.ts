/** Every build of this visit, and the one that others are compared with. */

import { computed, effect, signal } from "@preact/signals";
import type { Schemas } from "../api/client";
import type { Spec } from "../spec/draft";
import { type LiveBuild, liveBuild, liveSpec } from "./live";

/** A build that was traced since the page was opened. */
export interface Tried {
  readonly id: string;
  readonly spec: Spec;
  /** The spec with its defaults, as the service keeps it: patches of a diff apply to it. */
  readonly normalized: Schemas["BuildSpec"];
  readonly totals: Schemas["Totals"];
  readonly outputShape: readonly (number | null)[];
  readonly warnings: number;
  readonly at: Date;
}

const MAX_TRIED = 500;

/** The newest last; a build that is tried again moves to the end. */
export const tried = signal<readonly Tried[]>([]);
const pinnedId = signal<string | null>(null);
export const pinned = computed(
  () => tried.value.find((each) => each.id === pinnedId.value) ?? null,
);

/** Compares later builds with this one, or with none. */
export function pin(id: string | null): void {
  pinnedId.value = id;
}

export function startHistory(): () => void {
  return effect(() => {
    const build = liveBuild.value;
    const spec = liveSpec.value;
    if (build === null || spec === null) return;
    const all = tried.peek();
    if (all.at(-1)?.id === build.id) return;
    const others = all.filter((each) => each.id !== build.id);
    const dropped =
      others.length >= MAX_TRIED
        ? others.filter((each) => each.id !== pinnedId.peek())[0]
        : undefined;
    tried.value = [...others.filter((each) => each !== dropped), triedOf(build, spec)];
    if (all.length === 0) pinnedId.value = build.id;
  });
}

function triedOf(build: LiveBuild, spec: Spec): Tried {
  const { id, spec: normalized, totals, warnings, output_shape: outputShape } = build;
  const at = new Date();
  return { id, spec, normalized, totals, outputShape, warnings: warnings.length, at };
}
