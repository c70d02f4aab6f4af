import { expect, test } from "vitest";
import type { Layer } from "../build/live";
import type { Call } from "../provenance/setters";
import { FACTS, usualArguments } from "./columns";
import { argumentOf, commonScope, filterLayers, filterTest, sortLayers } from "./rows";

const layer = (name: string, op: string, parameters: number): Layer => ({
  name,
  op,
  output_shape: [null, 1],
  parameters,
  multiply_adds: 0,
  weight_bytes: 0,
  activation_bytes: 0,
  peak_activation_bytes: 0,
  receptive_field: null,
  effective_stride: null,
});
const layers = [
  layer("input", "input", 0),
  layer("Net/conv10", "conv2d", 5),
  layer("Net/conv2", "conv2d", 9),
  layer("Net/conv2/BatchNorm", "batch_norm", 2),
];
const names = (rows: readonly Layer[]) => rows.map((row) => row.name);

test("a filter without a star is looked for anywhere, in any case", () => {
  expect(names(filterLayers(layers, "CONV2/", null))).toEqual(["Net/conv2/BatchNorm"]);
  expect(names(filterLayers(layers, "batch", null))).toEqual(["Net/conv2/BatchNorm"]);
});

test("a filter with a star must fit a whole name or op", () => {
  expect(names(filterLayers(layers, "Net/conv*2", null))).toEqual(["Net/conv2"]);
  expect(names(filterLayers(layers, "conv2*", null))).toEqual(["Net/conv10", "Net/conv2"]);
});

test("other signs of regular expressions stand for themselves", () => {
  expect(filterTest("a.c(*")("a.c(d")).toBe(true);
  expect(filterTest("a.c(*")("abc(d")).toBe(false);
});

test("marked layers may be shown alone", () => {
  expect(names(filterLayers(layers, "", new Set(["input"])))).toEqual(["input"]);
});

test("rows are sorted by number, by natural order of names, or as in the network", () => {
  const sorted = (column: string, descending: boolean) =>
    names(sortLayers(layers, { column, descending }, FACTS, new Map()));
  expect(sorted("parameters", true)[0]).toBe("Net/conv2");
  expect(sorted("name", false)).toEqual([
    "input",
    "Net/conv2",
    "Net/conv2/BatchNorm",
    "Net/conv10",
  ]);
  expect(names(sortLayers(layers, null, FACTS, new Map()))).toEqual(names(layers));
});

test("the scope that all share is found, if there is one", () => {
  expect(commonScope(names(layers))).toBe("Net/");
  expect(commonScope(["conv0", "cell_0/conv", "cell_1/conv"])).toBe("");
});

test("an argument is that of the first call that has it", () => {
  const call = (op: string, name: string): Call => ({
    layer: "a",
    op,
    called_at: "",
    arguments: [{ name, value: op, kind: "default" }],
  });
  const calls = [call("x", "rate"), call("y", "decay"), call("z", "decay")];
  expect(argumentOf(calls, "decay")?.call.op).toBe("y");
  expect(argumentOf(undefined, "decay")).toBeUndefined();
});

test("the arguments that levels set are shown with the usual ones", () => {
  const override = { op: "batch_norm", value: 1, layers: 1, won: 1, beaten_by: [] };
  const overrides = [
    { ...override, pointer: "/scopes/0/args/decay", argument: "decay", reached: 1 },
    { ...override, pointer: "/scopes/0/args/scale", argument: "scale", reached: 0 },
  ];
  expect(usualArguments(overrides, ["activation_fn", "decay", "scale"])).toEqual([
    "activation_fn",
    "decay",
  ]);
});
