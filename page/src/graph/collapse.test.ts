import { expect, test } from "vitest";
import {
  deepest,
  depthAtFirst,
  depthOf,
  expandedTo,
  groupsToLay,
  revealing,
  shownFor,
  toggled,
  visibleItems,
} from "./collapse";
import { smallGraph } from "./small_graph";
import { ROOT, treeOf } from "./tree";

const tree = treeOf(smallGraph());

test("a scope around a single node is no group", () => {
  const left = tree.items.get("Net/block/left/Conv2D");
  expect(left?.name).toBe("left");
  expect(left?.parent).toBe("Net/block/");
  expect(tree.items.has("Net/block/left/")).toBe(false);
});

test("a group knows the layer that it is, and all layers inside", () => {
  const stem = tree.items.get("Net/stem/");
  expect(stem?.layer).toBe("Net/stem");
  expect(stem?.layers).toEqual(["Net/stem", "Net/stem/BatchNorm"]);
  expect(tree.items.get("Net/block/")?.layer).toBeNull();
});

test("each depth opens the groups above it", () => {
  expect(visibleItems(tree, expandedTo(tree, 1))).toEqual(["input", "Net/", "Predictions/Softmax"]);
  expect(visibleItems(tree, expandedTo(tree, 2))).toEqual([
    "input",
    "Net/stem/",
    "Net/block/",
    "Net/add",
    "Predictions/Softmax",
  ]);
  expect(visibleItems(tree, expandedTo(tree, deepest(tree)))).toHaveLength(9);
  for (const depth of [1, 2, 3]) expect(depthOf(tree, expandedTo(tree, depth))).toBe(depth);
});

test("a group that is opened alone makes the depth uneven", () => {
  const expanded = toggled(expandedTo(tree, 2), "Net/block/");
  expect(depthOf(tree, expanded)).toBeNull();
  expect(depthOf(tree, toggled(expanded, "Net/block/"))).toBe(2);
});

test("at first a network is open as far as it has a shape, but never into a thicket", () => {
  expect(depthAtFirst(tree)).toBe(3);
  const graph = smallGraph();
  const [node] = graph.nodes.slice(-1);
  const many = Array.from({ length: 300 }, (_, index) => ({
    ...(node as NonNullable<typeof node>),
    id: `Net/block/many/${index}`,
    scope: "Net/block/many",
    layer: null,
  }));
  const large = treeOf({ ...graph, nodes: [...graph.nodes, ...many] });
  expect(visibleItems(large, expandedTo(large, depthAtFirst(large))).length).toBeLessThan(200);
});

test("what is hidden is shown by the outermost closed group, until it is revealed", () => {
  const closed = expandedTo(tree, 1);
  expect(shownFor(tree, closed, "Net/stem/relu")).toBe("Net/");
  const open = revealing(tree, closed, "Net/stem/relu");
  expect([...open]).toEqual(["Net/", "Net/stem/"]);
  expect(shownFor(tree, open, "Net/stem/relu")).toBe("Net/stem/relu");
  expect(revealing(tree, open, "Net/stem/relu")).toBe(open);
});

test("an edge is cut where it goes through the border of an open group", () => {
  const groups = new Map(groupsToLay(tree, expandedTo(tree, 3)).map((each) => [each.id, each]));
  expect(groups.get("Net/")?.edges).toContainEqual({
    from: "Net/stem/",
    to: "Net/block/",
    carries: ["Net/stem/relu"],
  });
  expect(groups.get("Net/stem/")?.outs).toEqual([
    { carries: "Net/stem/relu", from: "Net/stem/relu" },
  ]);
  expect(groups.get("Net/block/")?.ins).toEqual([
    { carries: "Net/stem/relu", to: "Net/block/left/Conv2D" },
    { carries: "Net/stem/relu", to: "Net/block/right/Conv2D" },
  ]);
});

test("edges inside a closed group are not drawn, and the inner groups are laid out first", () => {
  const groups = groupsToLay(tree, expandedTo(tree, 2));
  expect(groups.map((each) => each.id)).toEqual(["Net/", ROOT]);
  expect(groups[0]?.edges.map(({ from, to }) => `${from} ${to}`)).toEqual([
    "Net/stem/ Net/block/",
    "Net/block/ Net/add",
    "Net/stem/ Net/add",
  ]);
});
