import { expect, test } from "vitest";
import { changesOf } from "./patch";

const SPEC = { architecture: "lenet", scopes: [{ args: { decay: 0.9 } }, { args: { "a/b~": 1 } }] };

test("each operation has the value before, which earlier ones may have moved", () => {
  const patch = [
    { op: "replace", path: "/architecture", value: "cifarnet" },
    { op: "remove", path: "/scopes/0" },
    { op: "replace", path: "/scopes/0/args/a~1b~0", value: 2 },
    { op: "add", path: "/scopes/1", value: { args: {} } },
    { op: "add", path: "/scopes/1/args/scale", value: true },
    { op: "remove", path: "/scopes/0/args/a~1b~0" },
  ] as const;
  expect(changesOf(patch, SPEC)).toEqual([
    { sign: "~", path: "/architecture", before: "lenet", after: "cifarnet" },
    { sign: "-", path: "/scopes/0", before: { args: { decay: 0.9 } }, after: undefined },
    { sign: "~", path: "/scopes/0/args/a~1b~0", before: 1, after: 2 },
    { sign: "+", path: "/scopes/1", before: undefined, after: { args: {} } },
    { sign: "-", path: "/scopes/1/args/a~1b~0", before: 2, after: undefined },
    { sign: "+", path: "/scopes/1/args/scale", before: undefined, after: true },
  ]);
  expect(SPEC.scopes).toHaveLength(2);
});

test("a place that the document does not have has no value before", () => {
  const patch = [{ op: "replace", path: "/params/num_classes", value: 1 }] as const;
  expect(changesOf(patch, { params: null })[0]?.before).toBeUndefined();
});

test("what was added stands where it is at last, and what was removed where it was at first", () => {
  const added = [
    { op: "add", path: "/scopes/0", value: "second" },
    { op: "add", path: "/scopes/0", value: "first" },
  ] as const;
  expect(changesOf(added, { scopes: [] }).map(({ path, after }) => [path, after])).toEqual([
    ["/scopes/0", "first"],
    ["/scopes/1", "second"],
  ]);
  const removed = [
    { op: "remove", path: "/scopes/0" },
    { op: "remove", path: "/scopes/0" },
  ] as const;
  const before = { scopes: ["first", "second"] };
  expect(changesOf(removed, before).map(({ path, before }) => [path, before])).toEqual([
    ["/scopes/0", "first"],
    ["/scopes/1", "second"],
  ]);
});
