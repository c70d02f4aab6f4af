/** What is typed becomes the document that the service takes. */

import { expect, test } from "vitest";
import { draftOf } from "../spec/draft";
import { exact } from "../ui/format";
import type { Axis, SweepOptions } from "./axes";
import {
  type AxisValues,
  axisDocument,
  initialValues,
  listingMistake,
  readList,
} from "./axis_values";
import { axisPointer, curlCommand, documentOf } from "./document";
import { choicesOf, type Place, placePointer, placesOf } from "./places";
import { at, pointer, tokensOf, withValues } from "./pointers";

const NUMBER: Place = {
  path: "/params/depth_multiplier",
  label: "depth_multiplier",
  group: "Parameters",
  type: "a number above 0",
  choices: [],
  current: 1,
};
const OPTIONS: SweepOptions = {
  method: "grid",
  rows: "100",
  seed: "0",
  where: "",
  predictGain: false,
};

function values(change: Partial<AxisValues>): AxisValues {
  return { ...initialValues(NUMBER), ...change };
}

function placed(path: string, change: Partial<AxisValues>, inStep = false) {
  const axis: Axis = { key: path, place: { ...NUMBER, path }, values: values(change), inStep };
  return { axis, pointer: path };
}

test("pointers escape and read tildes and slashes", () => {
  expect(pointer("a/b", "c~d", 0)).toBe("/a~1b/c~0d/0");
  expect(tokensOf("/a~1b/c~0d/0")).toEqual(["a/b", "c~d", "0"]);
  expect(at({ a: [{ b: 1 }] }, "/a/0/b")).toBe(1);
  expect(at({ a: null }, "/a/0/b")).toBeUndefined();
});

test("the values of a row are set in the base, objects that are missing are made", () => {
  const base = { architecture: "lenet", scopes: [{ ops: ["conv2d"], args: { padding: "SAME" } }] };
  const spec = withValues(base as never, {
    "/params/num_classes": 5,
    "/scopes/0/args/padding": "VALID",
    "/weights/seed": 3,
  });
  expect(spec).toEqual({
    architecture: "lenet",
    params: { num_classes: 5 },
    weights: { seed: 3 },
    scopes: [{ ops: ["conv2d"], args: { padding: "VALID" } }],
  });
  expect(base.scopes[0]?.args.padding).toBe("SAME");
});

test("closed sets are read from what the service says of an argument", () => {
  const choices = (type: string, values?: string[]) =>
    choicesOf({ name: "x", type, ...(values && { values }) });
  expect(choices("true or false or null")).toEqual([false, true, null]);
  expect(choices("'SAME' or 'VALID'")).toEqual(["SAME", "VALID"]);
  expect(choices("8 or 16 or 32 or null")).toEqual([8, 16, 32, null]);
  expect(choices("an activation by name or null", ["elu"])).toEqual(["elu", null]);
  expect(choices("a number above 0 and of at most 1")).toEqual([]);
});

test("lists are JSON or words; commas within brackets and quotes divide nothing", () => {
  expect(readList('[96, 96, 3], relu, 0.5, {"name": "a,b"}, null, "1", ,')).toEqual([
    [96, 96, 3],
    "relu",
    0.5,
    { name: "a,b" },
    null,
    "1",
  ]);
  expect(readList("")).toEqual([]);
});

test("each kind of values is written as the sweep format has it", () => {
  const write = (change: Partial<AxisValues>, isGrid = true) =>
    axisDocument(values(change), isGrid);
  expect(write({ kind: "choices", chosen: [null, "elu"], more: '{"name": "x"}' })).toEqual([
    null,
    "elu",
    { name: "x" },
  ]);
  expect(write({ kind: "steps", start: "", stop: "1", step: "0.25" })).toEqual({
    stop: 1,
    step: 0.25,
  });
  expect(write({ kind: "spaced", start: "0.1", stop: "0.4", count: "4" })).toEqual([
    0.1, 0.2, 0.3, 0.4,
  ]);
  expect(write({ kind: "spaced", start: "1", stop: "100", count: "3", isLog: true })).toEqual([
    1, 10, 100,
  ]);
  const draws = { kind: "draws", start: "0", stop: "1" } as const;
  expect(write({ ...draws, distribution: "q_normal", q: "2", count: "" })).toEqual({
    mu: 0,
    sigma: 1,
    distribution: "q_normal",
    q: 2,
  });
  expect(write({ ...draws, distribution: "uniform", count: "9" }, false)).toEqual({
    min: 0,
    max: 1,
    distribution: "uniform",
  });
  expect(write({ kind: "glob", glob: "mobilenet_*, vgg_*", exclude: "*_140" })).toEqual({
    glob: ["mobilenet_*", "vgg_*"],
    exclude: ["*_140"],
  });
});

test("what is typed wrong goes to the service, which says what is wrong", () => {
  expect(axisDocument(values({ kind: "spaced", start: "a", count: "0" }), true)).toEqual({
    min: "a",
    max: 4,
    count: 0,
    distribution: "uniform",
  });
});

test("values that are too many to list are not cut, and it is said", () => {
  const many = values({ kind: "spaced", start: "0", stop: "1", count: "100001" });
  expect(axisDocument(many, true)).toEqual({
    min: 0,
    max: 1,
    count: 100001,
    distribution: "uniform",
  });
  expect(listingMistake(many)).toBe(
    `Evenly spaced values are listed in the sweep, at most ${exact(100_000)} of them; received ${exact(100_001)}. Random draws are not listed.`,
  );
  expect(listingMistake({ ...many, count: "100000" })).toBeUndefined();
  expect(listingMistake({ ...many, kind: "draws" })).toBeUndefined();
});

test("axes in step are one group; problems are found at their pointers", () => {
  const axes = [
    placed("/a", { kind: "list", list: "1,2" }),
    placed("/b", { kind: "list", list: "3,4" }, true),
    placed("/c", { kind: "list", list: "5" }),
  ];
  const document = documentOf({ architecture: "lenet" }, axes, {
    ...OPTIONS,
    where: "parameters < 5, layers > 2",
    predictGain: true,
  });
  expect(document).toEqual({
    spec: { architecture: "lenet" },
    axes: { group_0: { zip: { "/a": [1, 2], "/b": [3, 4] } }, "/c": [5] },
    where: ["parameters < 5", "layers > 2"],
    columns: ["predicted_gain"],
  });
  expect(axisPointer(axes, "/b")).toBe("/axes/group_0/zip/~1b");
  expect(axisPointer(axes, "/c")).toBe("/axes/~1c");
  expect(axisPointer(axes, "gone")).toBeUndefined();
});

test("a random sweep has its number of rows and its seed", () => {
  const random = { ...OPTIONS, method: "random", rows: "50", seed: "7" } as const;
  expect(documentOf({}, [placed("/a", { kind: "list", list: "1" })], random)).toEqual({
    spec: {},
    method: "random",
    axes: { "/a": [1] },
    run_cap: 50,
    seed: 7,
  });
});

test("quotes in a document end no argument of the shell", () => {
  globalThis.document = { baseURI: "http://127.0.0.1:8000/" } as Document;
  expect(curlCommand({ spec: { architecture: "it's" }, axes: {} })).toContain(
    `http://127.0.0.1:8000/v1/sweeps -d '{"spec":{"architecture":"it'\\''s"},"axes":{}}'`,
  );
});

test("a place in a level follows the level, and leaves the sweep with it", () => {
  const draft = draftOf({
    architecture: "lenet",
    scopes: [
      { ops: ["conv2d"], args: { padding: "SAME" } },
      { ops: ["fully_connected"], args: {} },
    ] as never,
  });
  const known = { architecture: undefined, ops: {} };
  const place = placesOf(draft, known).find((each) => each.label === "padding");
  if (place === undefined) throw new Error("no place");
  expect(placePointer(draft, place)).toBe("/scopes/0/args/padding");
  const turned = { ...draft, levels: draft.levels.toReversed() };
  expect(placePointer(turned, place)).toBe("/scopes/1/args/padding");
  const off = { ...draft, levels: draft.levels.map((each) => ({ ...each, enabled: false })) };
  expect(placePointer(off, place)).toBeUndefined();
});

test("a level that is no level of ops and arguments has no places, and hides no others", () => {
  const scopes = [{ include: "house" }, null, { ops: "conv2d", args: [] }];
  const draft = draftOf({ architecture: "lenet", scopes: scopes as never });
  const places = placesOf(draft, { architecture: undefined, ops: {} });
  expect(places.map((each) => each.path)).toContain("/weights/seed");
});
