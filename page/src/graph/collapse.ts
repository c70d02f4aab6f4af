/** Which groups are open, what is seen then, and what is laid out. */

import { groupsAround, ROOT, type Skeleton, type Tree } from "./tree";

/** The groups that are open; the root always is. */
export type Expanded = ReadonlySet<string>;

/** With more in view at first, a network is a thicket; with fewer, it has no shape yet. */
export const MOST_AT_FIRST = 200;
const FEWEST_AT_FIRST = 9;

/** Returns the groups that are open if each one less deep than `depth` is. */
export function expandedTo(tree: Tree, depth: number): Expanded {
  const open = [...tree.items.values()].filter(
    (item) => item.children.length > 0 && item.id !== ROOT && item.depth < depth,
  );
  return new Set(open.map((item) => item.id));
}

/** Returns the depth of the deepest item: at it, every group is open. */
export function deepest(tree: Tree): number {
  return Math.max(1, ...[...tree.items.values()].map((item) => item.depth));
}

/** Returns the least depth at which a network shows a shape, and never more than is seen at once. */
export function depthAtFirst(tree: Tree): number {
  let depth = 1;
  while (depth < deepest(tree)) {
    if (visibleItems(tree, expandedTo(tree, depth)).length >= FEWEST_AT_FIRST) break;
    if (visibleItems(tree, expandedTo(tree, depth + 1)).length > MOST_AT_FIRST) break;
    depth += 1;
  }
  return depth;
}

/** Returns the depth to which exactly the open groups are open; null if it is uneven. */
export function depthOf(tree: Tree, expanded: Expanded): number | null {
  for (let depth = deepest(tree); depth >= 1; depth -= 1) {
    const even = expandedTo(tree, depth);
    if (even.size === expanded.size && [...even].every((id) => expanded.has(id))) return depth;
  }
  return null;
}

/** Returns the ids of what is drawn as a box of its own: nodes and closed groups, not open groups. */
export function visibleItems(tree: Skeleton, expanded: Expanded): string[] {
  const seen: string[] = [];
  const visit = (id: string) => {
    for (const child of tree.items.get(id)?.children ?? []) {
      if (expanded.has(child)) visit(child);
      else seen.push(child);
    }
  };
  visit(ROOT);
  return seen;
}

export function toggled(expanded: Expanded, id: string): Expanded {
  const next = new Set(expanded);
  if (!next.delete(id)) next.add(id);
  return next;
}

/** Returns the open groups with those around an item open too. */
export function revealing(tree: Tree, expanded: Expanded, id: string): Expanded {
  const around = groupsAround(tree, id).filter((group) => group !== ROOT && !expanded.has(group));
  return around.length === 0 ? expanded : new Set([...expanded, ...around]);
}

/** Returns the item itself, or the closed group that hides it. */
export function shownFor(tree: Skeleton, expanded: Expanded, id: string): string {
  return groupsAround(tree, id).find((group) => group !== ROOT && !expanded.has(group)) ?? id;
}

/** An open group as it is laid out. A port is where what one outside or inside box sends goes through. */
export interface GroupToLay {
  readonly id: string;
  readonly children: readonly string[];
  /** Those between children, with the boxes whose outputs go along. */
  readonly edges: readonly { from: string; to: string; carries: readonly string[] }[];
  readonly ins: readonly { carries: string; to: string }[];
  readonly outs: readonly { carries: string; from: string }[];
}

/** Returns each open group, the inner ones first, with the edges cut at its border. */
export function groupsToLay(tree: Skeleton, expanded: Expanded): GroupToLay[] {
  const cut = new Cutter();
  const chains = new Map<string, string[]>();
  const chainOf = (id: string): string[] => {
    let chain = chains.get(id);
    if (chain === undefined) {
      const shown = shownFor(tree, expanded, id);
      chain = [...groupsAround(tree, shown), shown];
      chains.set(id, chain);
    }
    return chain;
  };
  for (const [source, target] of tree.edges) cut.add(chainOf(source), chainOf(target));
  const open = [ROOT, ...expanded].flatMap((id) => tree.items.get(id) ?? []);
  return open
    .filter((item) => shownFor(tree, expanded, item.id) === item.id)
    .sort((a, b) => b.depth - a.depth)
    .map((item) => ({ id: item.id, children: item.children, ...cut.of(item.id) }));
}

/** Cuts edges between boxes where they go through the borders of open groups. */
class Cutter {
  private readonly between = new Map<string, Map<string, Set<string>>>();
  private readonly ins = new Map<string, Set<string>>();
  private readonly outs = new Map<string, Set<string>>();

  add(source: readonly string[], target: readonly string[]): void {
    const carried = source.at(-1) as string;
    if (carried === target.at(-1)) return;
    let common = 0;
    while (source[common] === target[common]) common += 1;
    const pairs = this.at(this.between, source[common - 1] as string, () => new Map());
    this.at(pairs, `${source[common]}\n${target[common]}`, () => new Set()).add(carried);
    for (let step = common + 1; step < source.length; step += 1) {
      const outs = this.at(this.outs, source[step - 1] as string, () => new Set());
      outs.add(`${carried}\n${source[step]}`);
    }
    for (let step = common + 1; step < target.length; step += 1) {
      const ins = this.at(this.ins, target[step - 1] as string, () => new Set());
      ins.add(`${carried}\n${target[step]}`);
    }
  }

  of(group: string): Pick<GroupToLay, "edges" | "ins" | "outs"> {
    const pairs = this.between.get(group) ?? new Map<string, Set<string>>();
    return {
      edges: [...pairs].map(([pair, carries]) => {
        const [from, to] = pair.split("\n") as [string, string];
        return { from, to, carries: [...carries] };
      }),
      ins: [...(this.ins.get(group) ?? [])].map((port) => {
        const [carries, to] = port.split("\n") as [string, string];
        return { carries, to };
      }),
      outs: [...(this.outs.get(group) ?? [])].map((port) => {
        const [carries, from] = port.split("\n") as [string, string];
        return { carries, from };
      }),
    };
  }

  private at<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
    let value = map.get(key);
    if (value === undefined) {
      value = make();
      map.set(key, value);
    }
    return value;
  }
}
