/** What the build says of each level: what its overrides reached and won, and its warnings. */

import { computed } from "@preact/signals";
import type { Schemas } from "../api/client";
import { liveBuild, report } from "../build/live";
import { setterName, setterOf } from "../provenance/setters";
import { exact } from "../ui/format";
import { pointerOf, tokens } from "./pointers";

type Override = Schemas["Override"];

/** The fate of one argument of a level, over all its ops. */
export interface Fate {
  readonly reached: number;
  readonly won: number;
  /** Who beat it, and at how many calls. */
  readonly beatenBy: Readonly<Record<string, number>>;
}

/** What the build says of a level. */
export interface LevelSays {
  readonly fates: Readonly<Record<string, Fate>>;
  readonly warnings: Readonly<Record<string, readonly string[]>>;
}

export const NOTHING: LevelSays = { fates: {}, warnings: {} };

export function addFate(fate: Fate | undefined, override: Override): Fate {
  const beatenBy: Record<string, number> = { ...fate?.beatenBy };
  for (const each of override.beaten_by) {
    const name = each.kind === "call" ? "the network" : setterName(setterOf(each));
    beatenBy[name] = (beatenBy[name] ?? 0) + each.calls;
  }
  return {
    reached: (fate?.reached ?? 0) + override.reached,
    won: (fate?.won ?? 0) + override.won,
    beatenBy,
  };
}

export function callsInWords(count: number): string {
  return `${exact(count)} ${count === 1 ? "call" : "calls"}`;
}

/** Returns the fate in a line: won 96 of 98 calls; lost 2 to the network. */
export function fateLine(fate: Fate): string {
  if (fate.reached === 0) return "reached no call";
  if (fate.won === fate.reached) return `won all ${callsInWords(fate.reached)}`;
  const lost = Object.entries(fate.beatenBy).map(([name, count]) => `${exact(count)} to ${name}`);
  const end = lost.length > 0 ? `; lost ${lost.join(", ")}` : "";
  return `won ${exact(fate.won)} of ${callsInWords(fate.reached)}${end}`;
}

const levelOf = (pointer: string): number | undefined => {
  const [first, index] = tokens(pointer);
  return first === "scopes" && index !== undefined ? Number(index) : undefined;
};

/** How often the live build calls each op. */
export const callsByOp = computed<ReadonlyMap<string, number>>(() => {
  const counts = new Map<string, number>();
  for (const { op } of report("explanation")?.calls ?? []) {
    counts.set(op, (counts.get(op) ?? 0) + 1);
  }
  return counts;
});

/** What the live build says of its levels, by their places. */
const allSays = computed<ReadonlyMap<number, LevelSays>>(() => {
  const says = new Map<number, LevelSays>();
  for (const override of report("explanation")?.overrides ?? []) {
    const place = levelOf(override.pointer);
    if (place === undefined) continue;
    const before = says.get(place) ?? NOTHING;
    const fate = addFate(before.fates[override.argument], override);
    says.set(place, { ...before, fates: { ...before.fates, [override.argument]: fate } });
  }
  for (const text of liveBuild.value?.warnings ?? []) {
    const [, pointer = "", sentence = text] = /^(\/[^\s:]*): (.*)$/s.exec(text) ?? [];
    const place = levelOf(pointer);
    if (place === undefined) continue;
    const before = says.get(place) ?? NOTHING;
    const inner = pointerOf(...tokens(pointer).slice(2));
    const warnings = { ...before.warnings, [inner]: [...(before.warnings[inner] ?? []), sentence] };
    says.set(place, { ...before, warnings });
  }
  return says;
});

export function levelSays(place: number | undefined): LevelSays {
  return (place !== undefined && allSays.value.get(place)) || NOTHING;
}
