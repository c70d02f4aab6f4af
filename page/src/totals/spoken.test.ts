import { expect, test } from "vitest";
import type { Call } from "../provenance/setters";
import { parseWarning, warnedLayers } from "./spoken";

const call = (layer: string, argument: Partial<Call["arguments"][number]>): Call => ({
  layer,
  op: "batch_norm",
  called_at: "",
  arguments: [{ name: "decay", value: 0.9, kind: "scope", ...argument }],
});
const layers = ["Net/a", "Net/b", "Net/c"];
const calls = [
  call("Net/a", {
    written_at: "net.py:1",
    beat: [{ value: 1, written_at: "/scopes/1/args/decay", level: "request" }],
  }),
  call("Net/b", { written_at: "/scopes/1/args/decay" }),
  call("Net/c", { written_at: "/scopes/0/args/decay" }),
];

test("a warning begins with the pointer of what it is about", () => {
  expect(parseWarning("/scopes/1/args/decay: this override: lost.")).toEqual({
    pointer: "/scopes/1/args/decay",
    sentence: "this override: lost.",
    place: 1,
  });
  expect(parseWarning("No pointer here.")).toEqual({
    pointer: "",
    sentence: "No pointer here.",
    place: null,
  });
});

test("it is about the layers where its value was beaten", () => {
  const warning = parseWarning("/scopes/1/args/decay: won at none.");
  expect([...warnedLayers(warning, calls, layers)]).toEqual(["Net/a"]);
});

test("or the layers that it names, if these are all", () => {
  const named = parseWarning("/scopes/0/args/decay: replaced a null in 1 layer (Net/a).");
  expect([...warnedLayers(named, calls, layers)]).toEqual(["Net/a"]);
  const some = parseWarning("/scopes/0/args/decay: replaced nulls (Net/a and 15 more).");
  expect([...warnedLayers(some, calls, layers)]).toEqual(["Net/c"]);
});

test("a warning about no layer marks none", () => {
  const warning = parseWarning("/scopes/3/args/x: lenet calls no separable_conv2d here.");
  expect(warnedLayers(warning, calls, layers).size).toBe(0);
});
