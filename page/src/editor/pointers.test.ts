import { beforeEach, describe, expect, it } from "vitest";
import { changeLevel, draft, draftOf, specOf, undo } from "../spec/draft";
import { fixesOf } from "./fixes";
import { hasField, isWithin, pointerOf, sentValue, tokens, withName, withValue } from "./pointers";

describe("a pointer", () => {
  it("is taken apart and put together with its escapes", () => {
    expect(tokens("/scopes/0/args/a~1b~0c")).toEqual(["scopes", "0", "args", "a/b~c"]);
    expect(pointerOf("scopes", 0, "args", "a/b~c")).toBe("/scopes/0/args/a~1b~0c");
    expect(tokens("")).toEqual([]);
  });

  it("is within another token by token", () => {
    expect(isWithin("/scopes/1/args", "/scopes/1")).toBe(true);
    expect(isWithin("/scopes/10", "/scopes/1")).toBe(false);
  });

  it.each([
    ["/architecture", true],
    ["/params/num_clases", true],
    ["/input_shape/0", true],
    ["/default_scope/weight_decay", true],
    ["/scopes/1/args/pading", true],
    ["/scopes/2", false],
    ["/scopes", false],
    ["/colour", false],
    ["", false],
  ])("%s has a field: %s", (pointer, has) => {
    expect(hasField(pointer, 2)).toBe(has);
  });
});

describe("a document", () => {
  const document = { a: { b: 1, c: [1, 2] }, d: null };

  it("is changed at a path without changing the one before", () => {
    expect(withValue(document, ["a", "c", "1"], 3)).toEqual({ a: { b: 1, c: [1, 3] }, d: null });
    expect(withValue(document, ["a", "c", "0"], undefined)).toEqual({
      a: { b: 1, c: [2] },
      d: null,
    });
    expect(withValue(document, ["d"], undefined)).toEqual({ a: { b: 1, c: [1, 2] } });
    expect(document).toEqual({ a: { b: 1, c: [1, 2] }, d: null });
  });

  it("has a member renamed at its place", () => {
    expect(JSON.stringify(withName(document, ["a", "b"], "z"))).toBe(
      '{"a":{"z":1,"c":[1,2]},"d":null}',
    );
  });
});

describe("a fix", () => {
  const off = { ops: ["dropout"], args: {} };
  beforeEach(() => {
    draft.value = draftOf({
      architecture: "lenett",
      params: { num_clases: 3 },
      scopes: [off, { ops: ["conv2d", "con"], args: { pading: "SAME", padding: "sam" } }],
    });
    changeLevel(draft.value.levels[0]?.key ?? "", (each) => ({ ...each, enabled: false }));
  });
  const fix = (pointer: string, received: unknown, suggestion: string | null) =>
    fixesOf({ pointer, received, suggestion, message: "" });

  it("counts only the levels that are on", () => {
    expect(sentValue(draft.value, "/scopes/0/ops/1")).toBe("con");
    expect(sentValue(draft.value, "/scopes/1")).toBeUndefined();
  });

  it("puts a suggested value in the place of the one received", () => {
    fix("/architecture", "lenett", "lenet")[0]?.apply();
    fix("/scopes/0/ops/1", "con", "conv3d")[0]?.apply();
    expect(specOf(draft.value)).toMatchObject({
      architecture: "lenet",
      scopes: [{ ops: ["conv2d", "conv3d"] }],
    });
    expect(draft.value.levels[0]).toMatchObject({ enabled: false, level: off });
  });

  it("renames a member whose name is at fault, or takes it away", () => {
    const fixes = fix("/scopes/0/args/pading", "pading", "paddings");
    expect(fixes.map((each) => each.title)).toEqual(["Use paddings", "Remove pading"]);
    fixes[0]?.apply();
    expect(specOf(draft.value).scopes).toEqual([
      { ops: ["conv2d", "con"], args: { paddings: "SAME", padding: "sam" } },
    ]);
    undo();
    fixes[1]?.apply();
    fix("/params/num_clases", "num_clases", null)[0]?.apply();
    expect(specOf(draft.value)).toMatchObject({
      params: {},
      scopes: [{ ops: ["conv2d", "con"], args: { padding: "sam" } }],
    });
  });

  it("keeps a function's arguments when its name is corrected", () => {
    draft.value = draftOf({ scopes: [{ ops: [], args: { f: { name: "l3", scale: 1 } } }] });
    fix("/scopes/0/args/f", "l3", "l2")[0]?.apply();
    expect(sentValue(draft.value, "/scopes/0/args/f")).toEqual({ name: "l2", scale: 1 });
  });

  it("is offered for nothing that is missing", () => {
    expect(fix("/scopes/0/layers", null, null)).toEqual([]);
  });
});
