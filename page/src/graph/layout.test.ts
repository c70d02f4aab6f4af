import { expect, test } from "vitest";
import { type Expanded, expandedTo, groupsToLay, visibleItems } from "./collapse";
import { type Box, type Layout, layouts } from "./layout";
import { neighbour } from "./neighbours";
import { smallGraph } from "./small_graph";
import { treeOf } from "./tree";

const tree = treeOf(smallGraph());

function laidOut(expanded: Expanded): Layout {
  const size = { width: 100, height: 30 };
  const sizes = new Map(visibleItems(tree, expanded).map((id) => [id, size]));
  const steps = layouts(groupsToLay(tree, expanded), sizes);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

const whole = laidOut(expandedTo(tree, 3));
const boxes = new Map(whole.boxes.map((box) => [box.id, box]));
const boxOf = (id: string) => boxes.get(id) as Box;

test("each box lies within the frame of its group", () => {
  for (const box of boxes.values()) {
    const frame = boxes.get(tree.items.get(box.id)?.parent ?? "");
    if (frame === undefined) continue;
    expect(box.x).toBeGreaterThanOrEqual(frame.x);
    expect(box.x + box.width).toBeLessThanOrEqual(frame.x + frame.width);
    expect(box.y).toBeGreaterThanOrEqual(frame.y);
    expect(box.y + box.height).toBeLessThanOrEqual(frame.y + frame.height);
  }
});

test("what reads stands below what it reads, and what is computed first is at the left", () => {
  for (const [source, target] of tree.edges) {
    expect(boxOf(target).y).toBeGreaterThan(boxOf(source).y);
  }
  expect(boxOf("Net/block/left/Conv2D").x).toBeLessThan(boxOf("Net/block/right/Conv2D").x);
});

test("a line that goes through a frame goes on where the one outside ends", () => {
  const carried = whole.lines.filter((line) => line.carries === "Net/stem/relu");
  const outside = carried.find((line) => line.from === "Net/stem/" && line.to === "Net/block/");
  const inside = carried.find((line) => line.from === "Net/block/");
  expect(inside?.points.slice(0, 2)).toEqual(outside?.points.slice(-2));
});

test("the inside of a group stays as it is when another is opened or closed", () => {
  const inside = (expanded: Expanded) => {
    const all = new Map(laidOut(expanded).boxes.map((box) => [box.id, box]));
    const frame = all.get("Net/block/") as Box;
    return (tree.items.get("Net/block/")?.children ?? []).map((id) => {
      const box = all.get(id) as Box;
      return [box.x - frame.x, box.y - frame.y];
    });
  };
  const one = new Set(["Net/", "Net/block/"]);
  expect(inside(new Set([...one, "Net/stem/"]))).toEqual(inside(one));
});

test("the arrow keys lead to the nearest box in their direction", () => {
  expect(neighbour(boxes, "Net/block/left/Conv2D", "ArrowRight")).toBe("Net/block/right/Conv2D");
  expect(neighbour(boxes, "Net/stem/Conv2D", "ArrowDown")).toBe("Net/stem/BatchNorm/Norm");
  expect(neighbour(boxes, "input", "ArrowUp")).toBeUndefined();
  expect(neighbour(boxes, "Net/add", "Home")).toBe("input");
});
