import { expect, test } from "vitest";
import { countsOf, type LayerDiff, matchOf, signsOf } from "./diff_match";
import { diffPainter } from "./diff_paint";
import { smallGraph } from "./small_graph";
import { type Item, type Tree, treeOf } from "./tree";

/** b is a under other names, without the right branch, with a changed left one. */
const trees = {
  a: treeOf(smallGraph()),
  b: treeOf(
    smallGraph((path) => (path.includes("right") ? null : path.replace("block", "module"))),
  ),
};

/** What differs, as the service says it: layers that are the same are left out. */
function diffs(): LayerDiff[] {
  return [...trees.a.layers.values()].flatMap((a) => {
    const b = trees.b.layers.get(a.name.replace("block", "module")) ?? null;
    const isLeft = a.name.endsWith("left");
    const status =
      b === null ? "removed" : isLeft ? "changed" : b.name === a.name ? "same" : "renamed";
    return status === "same" ? [] : { status, changes: isLeft ? ["name", "arguments"] : [], a, b };
  });
}

const match = matchOf(trees, diffs());
const itemOf = (tree: Tree, id: string) => tree.items.get(id) as Item;

test("a scope of another name matches by the layers in it", () => {
  expect(match.items.a.get("Net/block/")).toBe("Net/module/");
  expect(match.items.b.get("Net/module/left/Conv2D")).toBe("Net/block/left/Conv2D");
  expect(match.items.a.has("Net/block/right/Conv2D")).toBe(false);
  expect(match.items.a.get("Net/stem/")).toBe("Net/stem/");
  expect(match.layers.b.get("Net/stem")?.status).toBe("same");
});

test("a closed group says what is in it, on both sides", () => {
  for (const [side, id] of [
    ["a", "Net/block/"],
    ["b", "Net/module/"],
  ] as const) {
    expect(signsOf(countsOf(trees, match, side, id))).toBe("~2 −1");
  }
  expect(signsOf(countsOf(trees, match, "a", "Net/stem/"))).toBe("");
});

test("a box has the sign of its layer and says what has changed", () => {
  const paint = diffPainter(trees, match, "a");
  expect(paint(itemOf(trees.a, "Net/block/right/Conv2D"))).toMatchObject({
    mark: "−",
    words: "removed",
  });
  expect(paint(itemOf(trees.a, "Net/block/left/Conv2D"))).toMatchObject({
    mark: "~",
    words: "changed: name, arguments",
  });
  expect(paint(itemOf(trees.a, "Net/block/concat"))).toMatchObject({
    words: "named Net/module/concat on the other side",
  });
  expect(paint(itemOf(trees.a, "Net/add"))).toMatchObject({ mark: "", words: "the same" });
});
