/** What the build says of each level: what its overrides reached and won, and its warnings. */

import { computed } from "@preact/signals";
import type { Schemas } from "../api/client";
import { liveBuild, report } from "../build/live";
import { setterName, setterOf } from "../provenance/setters";
import { exact } from "../ui/format";
import { isWithin, pointerOf, tokens } from "./pointers";

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
  readonly layers: number | undefined;
  readonly fates: Readonly<Record<string, Fate>>;
  readonly warnings: Readonly<Record<string, readonly string[]>>;
}

export const NOTHING: LevelSays = { layers: undefined, fates: {}, warnings: {} };

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

/** The build's warnings, each with the pointer that it begins with. */
const warnings = computed(() =>
  (liveBuild.value?.warnings ?? []).map((text) => {
    const [, pointer = "", sentence = text] = /^(\/[^\s:]*): (.*)$/s.exec(text) ?? [];
    return { pointer, sentence };
  }),
);

/** Returns what the live build says of the level at a place in its spec. */
export function levelSays(place: number | undefined): LevelSays {
  if (place === undefined) return NOTHING;
  const fates: Record<string, Fate> = {};
  let layers: number | undefined;
  for (const override of report("explanation")?.overrides ?? []) {
    if (levelOf(override.pointer) !== place) continue;
    fates[override.argument] = addFate(fates[override.argument], override);
    layers = override.layers;
  }
  const own: Record<string, string[]> = {};
  for (const { pointer, sentence } of warnings.value) {
    if (!isWithin(pointer, pointerOf("scopes", place))) continue;
    const inner = pointerOf(...tokens(pointer).slice(2));
    own[inner] = [...(own[inner] ?? []), sentence];
  }
  return { layers, fates, warnings: own };
}
