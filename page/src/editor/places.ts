/**
 * Where the levels of the draft stand in a build, whose spec has saved scopes by value.
 *
 * Problems point into the spec that was sent; warnings, overrides and colours follow the build's spec.
 */

import { computed } from "@preact/signals";
import { liveBuild, liveSpec } from "../build/live";
import { draft, enabledLevels } from "../spec/draft";
import { isObject } from "./kinds";

/** Returns the saved scope that stands in place of a level. */
export function savedName(level: unknown): { name: string; by: "include" | "saved" } | undefined {
  if (!isObject(level)) return undefined;
  for (const by of ["include", "saved"] as const) {
    if (typeof level[by] === "string") return { name: level[by], by };
  }
  return undefined;
}

/** Returns each level's first place in the build; undefined for one that a `saved` has dropped. */
export function placesIn(
  levels: readonly unknown[],
  counts: ReadonlyMap<string, number>,
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
    next += saved ? (counts.get(saved.name) ?? 1) : 1;
  }
  return places;
}

/** How many levels each saved scope that the live build names stands for. */
export const includedCounts = computed<ReadonlyMap<string, number>>(() => {
  const sent = Array.isArray(liveSpec.value?.scopes) ? liveSpec.value.scopes : [];
  const uses = sent.flatMap((level) => savedName(level)?.name ?? []);
  const counts = new Map<string, number>();
  for (const each of liveBuild.value?.saved_scopes ?? []) {
    for (const name of new Set(uses)) {
      const [plain, digest = ""] = name.split("@");
      if (plain !== each.name || !each.digest.startsWith(digest)) continue;
      counts.set(name, Math.round(each.levels.length / uses.filter((use) => use === name).length));
    }
  }
  return counts;
});

/** The place in the build of each level that is switched on, by its key. */
export const levelPlaces = computed<ReadonlyMap<string, number | undefined>>(() => {
  const enabled = enabledLevels(draft.value);
  const places = placesIn(
    enabled.map((each) => each.level),
    includedCounts.value,
  );
  return new Map(enabled.map((each, index) => [each.key, places[index]]));
});
