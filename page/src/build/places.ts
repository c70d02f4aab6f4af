/**
 * Where the levels of a spec stand in its build, which has the levels of saved scopes by value.
 *
 * Problems point into the spec that was sent; warnings, setters and their colours follow the build's.
 */

import { computed } from "@preact/signals";
import { draft, enabledLevels } from "../spec/draft";
import { liveBuild, liveSpec } from "./live";

/** Returns the place in the build of the level that a pointer leads into; null for other pointers. */
export function levelPlace(pointer: string): number | null {
  const index = /^\/scopes\/(\d+)/.exec(pointer)?.[1];
  return index === undefined ? null : Number(index);
}

/** Returns the saved scope that stands in place of a level. */
export function savedName(level: unknown): { name: string; by: "include" | "saved" } | undefined {
  if (typeof level !== "object" || level === null) return undefined;
  for (const by of ["include", "saved"] as const) {
    const name = (level as Record<string, unknown>)[by];
    if (typeof name === "string") return { name, by };
  }
  return undefined;
}

/**
 * Returns how many levels each saved scope that was named stands for.
 *
 * Read from the innermost level, because a `saved` drops the levels outside it, and with them uses.
 */
export function sizesOf(
  sent: readonly unknown[],
  uses: readonly { readonly levels: readonly string[] }[],
): ReadonlyMap<string, number> {
  const left = [...uses];
  const sizes = new Map<string, number>();
  for (const level of sent.toReversed()) {
    const saved = savedName(level);
    if (saved) sizes.set(saved.name, left.pop()?.levels.length ?? 0);
    if (saved?.by === "saved") break;
  }
  return sizes;
}

/** Returns each level's first place in the build; undefined for one that a `saved` has dropped. */
export function placesIn(
  levels: readonly unknown[],
  sizes: ReadonlyMap<string, number>,
): (number | undefined)[] {
  const places: (number | undefined)[] = [];
  let next = 0;
  for (const level of levels) {
    const saved = savedName(level);
    if (saved?.by === "saved") {
      places.fill(undefined);
      next = 0;
    }
    places.push(next);
    next += saved ? (sizes.get(saved.name) ?? 1) : 1;
  }
  return places;
}

/** Returns the index of the level that a place in the build came from; -1 if none did. */
export function indexAt(places: readonly (number | undefined)[], place: number): number {
  return places.findLastIndex((first) => first !== undefined && first <= place);
}

export const sentLevels = computed<readonly unknown[]>(() => {
  const scopes = liveSpec.value?.scopes;
  return Array.isArray(scopes) ? scopes : [];
});

const savedSizes = computed(() => sizesOf(sentLevels.value, liveBuild.value?.saved_scopes ?? []));

/** The place in the build of each level that was sent. */
export const sentPlaces = computed(() => placesIn(sentLevels.value, savedSizes.value));

/** The place in the build of each level of the draft that is switched on, by its key. */
export const levelPlaces = computed<ReadonlyMap<string, number | undefined>>(() => {
  const enabled = enabledLevels(draft.value);
  const places = placesIn(
    enabled.map((each) => each.level),
    savedSizes.value,
  );
  return new Map(enabled.map((each, index) => [each.key, places[index]]));
});
