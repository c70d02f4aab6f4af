/** Lays out open groups one inside the other, so that a group's inside stays as it is when others open. */

import { Graph, layout as layOut } from "@dagrejs/dagre";
import type { GroupToLay } from "./collapse";
import { ROOT } from "./tree";

export interface Size {
  readonly width: number;
  readonly height: number;
}
export interface Box extends Size {
  readonly id: string;
  readonly x: number;
  readonly y: number;
  /** Whether it is the frame of an open group. */
  readonly isOpen: boolean;
}
export interface Line {
  readonly from: string;
  readonly to: string;
  /** The box whose output it carries. */
  readonly carries: string;
  /** x and y in turn. */
  readonly points: readonly number[];
}
export interface Layout extends Size {
  readonly boxes: readonly Box[];
  readonly lines: readonly Line[];
}

export const HEADER = 24;
const PADDING = 12;
const NODE_GAP = 18;
const RANK_GAP = 14;
/** dagre's exact ranking takes too long for more nodes in one group. */
const MANY = 400;

/** A group that has been laid out; places are relative to its corner. */
interface Laid extends Size {
  readonly boxes: readonly Box[];
  readonly lines: readonly Line[];
  readonly ins: ReadonlyMap<string, number>;
  readonly outs: ReadonlyMap<string, number>;
}

/** Lays out groups given inner ones first; it yields after each, so that a caller can give up. */
export function* layouts(
  groups: readonly GroupToLay[],
  sizes: ReadonlyMap<string, Size>,
): Generator<void, Layout> {
  const laid = new Map<string, Laid>();
  for (const group of groups) {
    laid.set(group.id, layGroup(group, sizes, laid));
    yield;
  }
  const boxes: Box[] = [];
  const lines: Line[] = [];
  const place = (id: string, x: number, y: number) => {
    const group = laid.get(id);
    for (const line of group?.lines ?? []) {
      lines.push({ ...line, points: line.points.map((at, i) => at + (i % 2 === 0 ? x : y)) });
    }
    for (const box of group?.boxes ?? []) {
      boxes.push({ ...box, x: box.x + x, y: box.y + y });
      if (box.isOpen) place(box.id, box.x + x, box.y + y);
    }
  };
  place(ROOT, 0, 0);
  const { width = 0, height = 0 } = laid.get(ROOT) ?? {};
  return { width, height, boxes, lines };
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** Where dagre has put the nodes and bends of a group, by the keys that `layGroup` gives them. */
interface Drawn {
  readonly nodes: ReadonlyMap<string, Point & Size>;
  readonly bends: ReadonlyMap<string, readonly Point[]>;
}

/** Networks repeat their blocks: groups of one form are laid out once. */
const drawn = new Map<string, Drawn>();
const MAX_DRAWN = 2000;

function layGroup(
  group: GroupToLay,
  sizes: ReadonlyMap<string, Size>,
  laid: ReadonlyMap<string, Laid>,
): Laid {
  const keys = new Map(group.children.map((id, index) => [id, String(index)]));
  const ports = [...group.ins, ...group.outs].map((port) => port.carries);
  const carried = new Map([...new Set(ports)].map((id, index) => [id, String(index)]));
  const nodes = group.children.map((id): [string, Size] => {
    const { width, height } = laid.get(id) ?? sizes.get(id) ?? { width: 100, height: 34 };
    return [keys.get(id) as string, { width, height }];
  });
  const form: Form = {
    nodes,
    edges: group.edges.map(({ from, to }) => [keys.get(from), keys.get(to)] as [string, string]),
    ins: group.ins.map(({ carries, to }) => [`in${carried.get(carries)}`, keys.get(to) as string]),
    outs: group.outs.map(({ carries, from }) => [
      keys.get(from) as string,
      `out${carried.get(carries)}`,
    ]),
  };
  const text = JSON.stringify(form);
  let found = drawn.get(text);
  if (found === undefined) {
    if (drawn.size >= MAX_DRAWN) drawn.clear();
    found = drawForm(form);
    drawn.set(text, found);
  }
  const keyOf = (id: string) => keys.get(id) as string;
  const portOf = (side: "in" | "out", id: string) => `${side}${carried.get(id)}`;
  return placed(group, found, laid, keyOf, portOf);
}

/** A group without its names. */
interface Form {
  readonly nodes: readonly [string, Size][];
  readonly edges: readonly [string, string][];
  readonly ins: readonly [string, string][];
  readonly outs: readonly [string, string][];
}

function drawForm({ nodes, edges, ins, outs }: Form): Drawn {
  const graph = new Graph();
  graph.setGraph({
    rankdir: "TB",
    nodesep: NODE_GAP,
    ranksep: RANK_GAP + Math.min(24, 6 * (fanOf([...edges, ...ins, ...outs]) - 1)),
    ranker: nodes.length > MANY ? "longest-path" : "network-simplex",
  });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const [key, size] of nodes) graph.setNode(key, { ...size });
  // A heavy edge to a point above holds the ports in the first row, and one below in the last.
  const hold = { weight: 1000, minlen: 1 };
  const point = { width: 1, height: 1 };
  if (ins.length > 0) graph.setNode("above", { ...point });
  if (outs.length > 0) graph.setNode("below", { ...point });
  for (const [port] of ins) {
    graph.setNode(port, { ...point });
    graph.setEdge("above", port, { ...hold });
  }
  for (const [, port] of outs) {
    graph.setNode(port, { ...point });
    graph.setEdge(port, "below", { ...hold });
  }
  const all = [...edges, ...ins, ...outs];
  // What is computed one after the other stands straight below, and what skips some bends around it.
  for (const [from, to] of all) {
    graph.setEdge(from, to, { weight: Number(to) === Number(from) + 1 ? 8 : 1 });
  }
  layOut(graph);
  const places = new Map(graph.nodes().map((key) => [key, graph.node(key) as Point & Size]));
  // Of a picture and its mirror image, the one in which what is computed first is at the left.
  const side = isMirrored(nodes.map(([key]) => places.get(key) as Size & Point)) ? -1 : 1;
  return {
    nodes: new Map(
      [...places].map(([key, { x, y, width, height }]) => [key, { x: side * x, y, width, height }]),
    ),
    bends: new Map(
      all.map(([from, to]) => {
        const { points } = graph.edge(from, to) as { points: Point[] };
        return [`${from} ${to}`, points.slice(1, -1).map(({ x, y }) => ({ x: side * x, y }))];
      }),
    ),
  };
}

/** Whether of those in one row most stand in the opposite of their order. */
function isMirrored(places: readonly Point[]): boolean {
  let order = 0;
  for (const [index, place] of places.entries()) {
    const before = places.slice(Math.max(0, index - 8), index);
    for (const other of before) {
      if (Math.abs(other.y - place.y) < 1) order += Math.sign(place.x - other.x);
    }
  }
  return order < 0;
}

/** Returns how many lines at most end at a node, or begin there: they need room to bend. */
function fanOf(edges: readonly (readonly [string, string])[]): number {
  const counts = new Map<string, number>();
  for (const [from, to] of edges) {
    for (const end of [`from ${from}`, `to ${to}`]) counts.set(end, (counts.get(end) ?? 0) + 1);
  }
  return [...counts.values()].reduce((most, count) => Math.max(most, count), 1);
}

/** Returns the group with its names again, its corner at 0, 0. */
function placed(
  group: GroupToLay,
  drawn: Drawn,
  laid: ReadonlyMap<string, Laid>,
  keyOf: (id: string) => string,
  portOf: (side: "in" | "out", id: string) => string,
): Laid {
  const header = group.id === ROOT ? 0 : HEADER;
  const { left, top, right, bottom } = bounds(drawn);
  const x = (at: number) => at - left + PADDING;
  const y = (at: number) => at - top + PADDING + header;
  const width = right - left + 2 * PADDING;
  const height = bottom - top + 2 * PADDING + header;
  const boxes = group.children.map((id) => {
    const node = drawn.nodes.get(keyOf(id)) as Point & Size;
    const corner = { x: x(node.x - node.width / 2), y: y(node.y - node.height / 2) };
    return { id, ...corner, width: node.width, height: node.height, isOpen: laid.has(id) };
  });
  const boxOf = new Map(boxes.map((box) => [box.id, box]));
  const below = (id: string, carries: string): [number, number] => {
    const box = boxOf.get(id) as Box;
    return [box.x + (laid.get(id)?.outs.get(carries) ?? box.width / 2), box.y + box.height];
  };
  const above = (id: string, carries: string): [number, number] => {
    const box = boxOf.get(id) as Box;
    return [box.x + (laid.get(id)?.ins.get(carries) ?? box.width / 2), box.y];
  };
  const between = (from: string, to: string) =>
    (drawn.bends.get(`${from} ${to}`) ?? []).flatMap((bend) => [x(bend.x), y(bend.y)]);
  const portsAt = (side: "in" | "out", ids: readonly { carries: string }[]) =>
    new Map(
      ids.map(({ carries }) => [carries, x(drawn.nodes.get(portOf(side, carries))?.x ?? left)]),
    );
  const ins = portsAt("in", group.ins);
  const outs = portsAt("out", group.outs);
  const lines = [
    ...group.edges.flatMap(({ from, to, carries }) =>
      carries.map((each) => {
        const points = [
          ...below(from, each),
          ...between(keyOf(from), keyOf(to)),
          ...above(to, each),
        ];
        return { from, to, carries: each, points };
      }),
    ),
    ...group.ins.map(({ carries, to }) => {
      const inner = [...between(portOf("in", carries), keyOf(to)), ...above(to, carries)];
      const at = ins.get(carries) as number;
      return { from: group.id, to, carries, points: [at, 0, at, header, ...inner] };
    }),
    ...group.outs.map(({ carries, from }) => {
      const inner = [...below(from, carries), ...between(keyOf(from), portOf("out", carries))];
      return { from, to: group.id, carries, points: [...inner, outs.get(carries) ?? 0, height] };
    }),
  ];
  return { width, height, boxes, lines, ins, outs };
}

/** Returns the bounds of all that is drawn: the points that hold the ports are not. */
function bounds({ nodes, bends }: Drawn) {
  const drawnNodes = [...nodes].filter(([key]) => key !== "above" && key !== "below");
  const xs = [
    ...drawnNodes.flatMap(([, node]) => [node.x - node.width / 2, node.x + node.width / 2]),
    ...[...bends.values()].flat().map((bend) => bend.x),
  ];
  const boxes = drawnNodes.filter(([key]) => !/^(in|out)/.test(key));
  const ys = boxes.flatMap(([, node]) => [node.y - node.height / 2, node.y + node.height / 2]);
  return {
    left: least(xs),
    right: -least(xs.map((at) => -at)),
    top: least(ys),
    bottom: -least(ys.map((at) => -at)),
  };
}

function least(values: readonly number[]): number {
  return values.reduce((least, value) => Math.min(least, value), values[0] ?? 0);
}
