/** The tree that the graph draws: each scope is a group of scopes and nodes, in order of execution. */

import type { Schemas } from "../api/client";

export type GraphDocument = Schemas["Graph"];
export type GraphLayer = Schemas["GraphLayer"];

/** The figures that a node has, and a group has in all. */
export interface Figures {
  readonly parameters: number;
  readonly multiply_adds: number;
  readonly activation_bytes: number;
  readonly receptive_field: number;
}

/** A node or a group. A group's id is its scope's path with a slash after it, as no node's is. */
export interface Item {
  readonly id: string;
  readonly name: string;
  /** The path of the scope, or the id of the node, in full. */
  readonly path: string;
  readonly parent: string | null;
  /** Empty for a node; the root has the id "/". */
  readonly children: readonly string[];
  readonly depth: number;
  /** The op of the node, or of the layer that the group is. */
  readonly op: string | null;
  /** The layer that a node belongs to, or that a group is. */
  readonly layer: string | null;
  /** The names of all layers inside. */
  readonly layers: readonly string[];
  readonly shape: readonly (number | null)[];
  readonly figures: Figures;
}

export interface Tree {
  readonly items: ReadonlyMap<string, Item>;
  readonly layers: ReadonlyMap<string, GraphLayer>;
  /** Who reads whom, by the ids of nodes; each pair once. */
  readonly edges: readonly (readonly [string, string])[];
  /** The nodes of each layer, in order of execution. */
  readonly nodesOf: ReadonlyMap<string, readonly string[]>;
}

/** What of a tree is needed to lay it out. */
export interface Skeleton {
  readonly items: ReadonlyMap<string, Pick<Item, "id" | "parent" | "children" | "depth">>;
  readonly edges: Tree["edges"];
}

export function skeletonOf({ items, edges }: Tree): Skeleton {
  return {
    items: new Map(
      Array.from(items, ([key, { id, parent, children, depth }]) => [
        key,
        { id, parent, children, depth },
      ]),
    ),
    edges,
  };
}

export const ROOT = "/";

type Draft = { -readonly [Key in keyof Item]: Item[Key] } & {
  children: string[];
  layers: string[];
  names: Set<string>;
};

export function treeOf(graph: GraphDocument): Tree {
  const layers = new Map(graph.layers.map((layer) => [layer.name, layer]));
  const scopes = new Map(graph.scopes.map((scope) => [scope.path, scope]));
  const crowd = sizesOf(graph);
  const items = new Map<string, Draft>();

  const group = (path: string): Draft => {
    const id = path === "" ? ROOT : `${path}/`;
    const known = items.get(id);
    if (known) return known;
    const parent = path === "" ? null : group(parentOf(path));
    const scope = scopes.get(path);
    const totals = scope?.totals;
    const made: Draft = {
      id,
      name: path === "" ? graph.architecture : lastPart(path),
      path,
      parent: parent?.id ?? null,
      children: [],
      depth: parent ? parent.depth + 1 : 0,
      op: layers.get(path)?.op ?? null,
      layer: layers.has(path) ? path : null,
      layers: [],
      names: new Set(),
      shape: [],
      figures: {
        parameters: totals?.parameters ?? 0,
        multiply_adds: totals?.multiply_adds ?? 0,
        activation_bytes: totals?.activation_bytes ?? 0,
        receptive_field: 0,
      },
    };
    items.set(id, made);
    parent?.children.push(id);
    return made;
  };

  const nodesOf = new Map<string, string[]>();
  for (const node of graph.nodes) {
    // A scope around a single node says no more than the node does.
    const isAlone = node.scope !== "" && crowd.get(node.scope) === 1;
    const parent = group(isAlone ? parentOf(node.scope) : node.scope);
    const layer = node.layer === null ? undefined : layers.get(node.layer);
    const field = Math.max(0, ...(layer?.receptive_field ?? []).map((size) => size ?? 0));
    items.set(node.id, {
      id: node.id,
      name: lastPart(isAlone ? node.scope : node.id),
      path: node.id,
      parent: parent.id,
      children: [],
      depth: parent.depth + 1,
      op: node.op,
      layer: node.layer,
      layers: node.layer === null ? [] : [node.layer],
      names: new Set(),
      shape: node.output_shape,
      figures: {
        parameters: node.parameters,
        multiply_adds: node.multiply_adds,
        activation_bytes: node.activation_bytes,
        receptive_field: field,
      },
    });
    parent.children.push(node.id);
    if (node.layer !== null) push(nodesOf, node.layer, node.id);
    for (let each: Draft | undefined = parent; each; each = items.get(each.parent ?? "")) {
      each.shape = node.output_shape;
      each.figures = {
        ...each.figures,
        receptive_field: Math.max(each.figures.receptive_field, field),
      };
      // The nodes of a layer may be interrupted by those of its normalizer.
      if (node.layer !== null && !each.names.has(node.layer)) {
        each.names.add(node.layer);
        each.layers.push(node.layer);
      }
    }
  }
  const pairs = new Map(
    graph.edges.map(({ source, target }) => [`${source}\n${target}`, [source, target] as const]),
  );
  return { items, layers, nodesOf, edges: [...pairs.values()] };
}

/** Returns the groups around an item, from the root to its own. */
export function groupsAround(tree: Skeleton, id: string): string[] {
  const around: string[] = [];
  for (
    let parent = tree.items.get(id)?.parent ?? null;
    parent !== null;
    parent = tree.items.get(parent)?.parent ?? null
  ) {
    around.unshift(parent);
  }
  return around;
}

/** Returns how many nodes each scope has, with those of the scopes in it. */
function sizesOf(graph: GraphDocument): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const node of graph.nodes) {
    for (let path = node.scope; ; path = parentOf(path)) {
      sizes.set(path, (sizes.get(path) ?? 0) + 1);
      if (path === "") break;
    }
  }
  return sizes;
}

function push(map: Map<string, string[]>, key: string, value: string): void {
  const values = map.get(key);
  if (values) values.push(value);
  else map.set(key, [value]);
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
