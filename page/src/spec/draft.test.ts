import { beforeEach, describe, expect, it } from "vitest";
import {
  addLevel,
  canRedo,
  canUndo,
  changeLevel,
  draft,
  draftOf,
  edit,
  levelPointer,
  moveLevel,
  open,
  redo,
  removeLevel,
  setField,
  specOf,
  undo,
} from "./draft";

const level = (decay: number) => ({ ops: ["batch_norm"], args: { decay } }) as never;

beforeEach(() => {
  draft.value = draftOf({ architecture: "lenet", scopes: [level(0.1), level(0.2)] });
});

describe("a draft", () => {
  it("is sent as the spec that it was made from", () => {
    const spec = { architecture: "lenet", scopes: [level(0.5)], strict: true };
    expect(specOf(draftOf(spec))).toEqual(spec);
  });

  it("keeps what a spec must not have, so that the service can refuse it", () => {
    const spec = { architecture: "lenet", scopes: "none", colour: 1 } as never;
    expect(specOf(draftOf(spec))).toEqual(spec);
  });

  it("is sent without the levels that are switched off, and pointers count the others", () => {
    const [outer, inner] = draft.value.levels;
    changeLevel(outer?.key ?? "", (each) => ({ ...each, enabled: false }));
    expect(specOf(draft.value).scopes).toEqual([level(0.2)]);
    expect(levelPointer(draft.value, outer?.key ?? "")).toBeUndefined();
    expect(levelPointer(draft.value, inner?.key ?? "")).toBe("/scopes/0");
  });
});

describe("levels", () => {
  it("move outward and inward, and keep their keys", () => {
    const key = addLevel(level(0.3));
    moveLevel(key, 0);
    expect(specOf(draft.value).scopes).toEqual([level(0.3), level(0.1), level(0.2)]);
    moveLevel(key, 2);
    expect(specOf(draft.value).scopes).toEqual([level(0.1), level(0.2), level(0.3)]);
    expect(draft.value.levels[2]?.key).toBe(key);
    removeLevel(key);
    expect(specOf(draft.value).scopes).toEqual([level(0.1), level(0.2)]);
  });
});

describe("undo", () => {
  it("takes back one edit, or one group of them, and redo does them again", () => {
    const before = specOf(draft.value);
    setField("strict", true);
    setField("params", { a: 1 }, "params/a");
    setField("params", { a: 12 }, "params/a");
    undo();
    expect(specOf(draft.value)).toEqual({ ...before, strict: true });
    undo();
    expect(specOf(draft.value)).toEqual(before);
    redo();
    redo();
    expect(specOf(draft.value)).toEqual({ ...before, strict: true, params: { a: 12 } });
    expect(canRedo.value).toBe(false);
  });

  it("forgets what could be redone at the next edit", () => {
    open({ architecture: "cifarnet" });
    undo();
    expect(canRedo.value).toBe(true);
    setField("strict", true);
    expect(canRedo.value).toBe(false);
    expect(canUndo.value).toBe(true);
  });

  it("does not count an edit that changes nothing", () => {
    setField("strict", true);
    undo();
    edit((same) => same);
    expect(canRedo.value).toBe(true);
  });
});

describe("a draft made again of its spec", () => {
  const keys = () => draft.value.levels.map((each) => each.key);

  it("keeps the keys of the levels before and behind one that is new, and of one that changed", () => {
    const [first, second] = keys();
    const spec = (...decays: number[]) => ({ scopes: decays.map(level) });
    expect(draftOf(spec(0.1, 0.9, 0.2), draft.value).levels.map((each) => each.key)).toEqual([
      first,
      expect.any(String),
      second,
    ]);
    expect(draftOf(spec(0.2), draft.value).levels.map((each) => each.key)).toEqual([second]);
    expect(draftOf(spec(0.1, 0.3), draft.value).levels.map((each) => each.key)).toEqual([
      first,
      second,
    ]);
  });

  it("keeps the levels that are switched off where they stood", () => {
    const off = addLevel(level(0.5), 1);
    changeLevel(off, (each) => ({ ...each, enabled: false }));
    const before = keys();
    const again = draftOf({ ...specOf(draft.value), strict: true }, draft.value);
    expect(again.levels.map((each) => each.key)).toEqual(before);
    expect(again.levels[1]).toMatchObject({ enabled: false, level: level(0.5) });
  });
});
