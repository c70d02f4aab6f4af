import { expect, test } from "vitest";
import type { Diff } from "./diff";
import { layerOf, rowsOf } from "./rows";

const side = (name: string) => ({ name });
const DIFF = {
  layers: [
    { status: "changed", a: side("x/conv1"), b: side("y/conv1") },
    { status: "removed", a: side("x/pool"), b: null },
    { status: "same", a: side("input"), b: side("input") },
    { status: "added", a: null, b: side("y/pool") },
  ],
  settings: [
    { status: "changed", layer: "elsewhere", argument: "rate" },
    { status: "changed", layer: "y/conv1", argument: "stride" },
    { status: "same", layer: "y/conv1", argument: "padding" },
    { status: "changed", layer: "y/conv1", argument: "rate" },
  ],
} as unknown as Diff;

function told(hidden: Parameters<typeof rowsOf>[1]) {
  return rowsOf(DIFF, hidden).map((row) =>
    row.kind === "layer"
      ? `${row.layer.status} ${layerOf(row)}`
      : `${row.setting.argument} of ${layerOf(row)}${row.isAlone ? ", alone" : ""}`,
  );
}

test("arguments follow their layers, and those without one come last", () => {
  expect(told(new Set())).toEqual([
    "changed y/conv1",
    "stride of y/conv1",
    "rate of y/conv1",
    "removed x/pool",
    "added y/pool",
    "rate of elsewhere, alone",
  ]);
});

test("a status that is hidden takes its arguments with it", () => {
  expect(told(new Set(["changed", "removed"]))).toEqual(["added y/pool"]);
});
