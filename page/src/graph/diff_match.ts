/** Which items of two graphs are the same, by the diff's alignment of layers, and how they differ. */

import type { Schemas } from "../api/client";
import { groupsAround, ROOT, type Tree } from "./tree";

type Named = Pick<Schemas["Layer"], "name"> | null;
/** How two layers differ that stand for each other, as far as a graph shows it. */
export type LayerDiff = Pick<Schemas["LayerDiff"], "status" | "changes"> & { a: Named; b: Named };
export type Status = LayerDiff["status"];
export type Side = "a" | "b";

/** The layers of each side by name, and the items of each that stand for items of the other. */
export interface Match {
  readonly layers: Readonly<Record<Side, ReadonlyMap<string, LayerDiff>>>;
  readonly items: Readonly<Record<Side, ReadonlyMap<string, string>>>;
}

export function other(side: Side): Side {
  return side === "a" ? "b" : "a";
}

/**
 * Returns what stands for what.
 *
 * `differing` are the layers that differ, as a diff has them; those left have one name on both sides.
 * The nodes of two aligned layers match in their order. Scopes may have other names on the other
 * side: a scope matches the one at its depth that has most of the layers aligned with its own.
 */
export function matchOf(
  trees: Readonly<Record<Side, Tree>>,
  differing: readonly LayerDiff[],
): Match {
  const layers = { a: new Map<string, LayerDiff>(), b: new Map<string, LayerDiff>() };
  const items = { a: new Map<string, string>(), b: new Map<string, string>() };
  const votes = { a: new Votes(), b: new Votes() };
  for (const diff of [...differing, ...sameOf(trees, differing)]) {
    if (diff.a) layers.a.set(diff.a.name, diff);
    if (diff.b) layers.b.set(diff.b.name, diff);
    const nodes = {
      a: trees.a.nodesOf.get(diff.a?.name ?? "") ?? [],
      b: trees.b.nodesOf.get(diff.b?.name ?? "") ?? [],
    };
    for (const [index, a] of nodes.a.entries()) {
      const b = nodes.b[index];
      if (b === undefined) break;
      items.a.set(a, b);
      items.b.set(b, a);
      const around = { a: groupsAround(trees.a, a), b: groupsAround(trees.b, b) };
      for (const [depth, group] of around.a.entries()) {
        const same = around.b[depth];
        if (same === undefined) break;
        votes.a.add(group, same);
        votes.b.add(same, group);
      }
    }
  }
  votes.a.decide(items.a);
  votes.b.decide(items.b);
  items.a.set(ROOT, ROOT);
  items.b.set(ROOT, ROOT);
  return { layers, items };
}

function sameOf(trees: Readonly<Record<Side, Tree>>, differing: readonly LayerDiff[]): LayerDiff[] {
  const told = {
    a: new Set(differing.map(({ a }) => a?.name)),
    b: new Set(differing.map(({ b }) => b?.name)),
  };
  return [...trees.a.layers.keys()]
    .filter((name) => trees.b.layers.has(name) && !told.a.has(name) && !told.b.has(name))
    .map((name) => ({ status: "same", changes: [], a: { name }, b: { name } }));
}

class Votes {
  private readonly counts = new Map<string, Map<string, number>>();

  add(group: string, same: string): void {
    const counts = this.counts.get(group) ?? new Map<string, number>();
    counts.set(same, (counts.get(same) ?? 0) + 1);
    this.counts.set(group, counts);
  }

  decide(items: Map<string, string>): void {
    for (const [group, counts] of this.counts) {
      const [most] = [...counts].sort(([, a], [, b]) => b - a);
      if (most) items.set(group, most[0]);
    }
  }
}

export type Counts = Readonly<Record<Status, number>>;

/** Returns how many layers of an item differ in each way, with those that the other side alone has. */
export function countsOf(
  trees: Readonly<Record<Side, Tree>>,
  match: Match,
  side: Side,
  id: string,
): Counts {
  const counts = { same: 0, changed: 0, renamed: 0, added: 0, removed: 0 };
  for (const name of trees[side].items.get(id)?.layers ?? []) {
    const status = match.layers[side].get(name)?.status;
    if (status) counts[status] += 1;
  }
  const there = trees[other(side)].items.get(match.items[side].get(id) ?? "");
  const alone = side === "a" ? "added" : "removed";
  for (const name of there?.layers ?? []) {
    if (match.layers[other(side)].get(name)?.status === alone) counts[alone] += 1;
  }
  return counts;
}

export const SIGNS: Readonly<Record<Status, string>> = {
  same: "",
  changed: "~",
  renamed: "~",
  added: "+",
  removed: "−",
};

/** Returns the counts with their signs: "~3 +1"; "" if all are the same. */
export function signsOf(counts: Counts): string {
  const parts = [
    ["~", counts.changed + counts.renamed],
    ["+", counts.added],
    ["−", counts.removed],
  ] as const;
  return parts
    .filter(([, count]) => count > 0)
    .map(([sign, count]) => `${sign}${count}`)
    .join(" ");
}
