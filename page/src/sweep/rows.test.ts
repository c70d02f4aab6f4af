/** What the plots and the table make of rows survives any value. */

import { expect, test } from "vitest";
import { type Column, columnsOf, isNumeric, sorted, varies } from "./columns";
import { frontOf } from "./front";
import { nearest } from "./points";
import type { Row } from "./run";
import { scaleOf, wantsLog } from "./scale";

const TOTALS = {
  layers: 10,
  parameters: 100,
  trainable_parameters: 100,
  multiply_adds: 1000,
  weight_bytes: 400,
  activation_bytes: 80,
  peak_activation_bytes: 40,
};

function row(index: number, values: Record<string, unknown>, totals: unknown = TOTALS): Row {
  const status = totals === null ? "refused" : "traced";
  const common = { warnings: 0, problem: null, duplicate_of: null };
  return { index, build: `${index}`, status, values, totals, ...common } as Row;
}

function column(rows: readonly Row[], id: string): Column {
  const found = columnsOf(rows).find((each) => each.id === id);
  if (!found) throw new Error(`no column ${id}`);
  return found;
}

test("no rows have no columns", () => {
  expect(columnsOf([])).toEqual([]);
});

test("the axes come first, then the totals that rows are compared by, then the others", () => {
  const rows = [row(0, { "/scopes/1/args/decay": 0.9, "/params/num_classes": 10 })];
  expect(columnsOf(rows).map((each) => each.label)).toEqual([
    "decay (level 1)",
    "num_classes",
    "parameters",
    "multiply adds",
    "peak activation bytes",
    "layers",
    "trainable parameters",
    "weight bytes",
    "activation bytes",
  ]);
});

test("values that are odd, missing or no JSON at all are shown, sorted and placed", () => {
  const odd = [null, Number.NaN, Number.POSITIVE_INFINITY, "", "elu", [1, 2], { name: "x" }, 3, -1];
  const rows = odd.map((value, index) => row(index, { "/x": value }));
  const of = column(rows, "/x");
  expect(isNumeric(of, rows)).toBe(false);
  expect(rows.map((each) => of.text(of.of(each)))).toEqual([
    "null",
    "NaN",
    "Infinity",
    "",
    "elu",
    "[1, 2]",
    "x()",
    "3",
    "-1",
  ]);
  const order = sorted(rows, [of], { column: "/x", isDescending: false });
  expect(order).toHaveLength(odd.length);
  expect(order[0]?.index).toBe(8);
  const scale = scaleOf(of, rows, true);
  for (const value of odd) expect(scale.share(value)).toBeGreaterThanOrEqual(0);
  expect(scale.share("never seen")).toBeUndefined();
});

test("refused rows have no totals, and come last in either direction", () => {
  const rows = [row(0, { "/x": 1 }, null), row(1, { "/x": 2 })];
  const columns = columnsOf(rows);
  for (const isDescending of [false, true]) {
    const order = sorted(rows, columns, { column: "parameters", isDescending });
    expect(order.map((each) => each.index)).toEqual([1, 0]);
  }
  expect(column(rows, "parameters").text(undefined)).toBe("");
});

test("rows whose members are missing are shown without them", () => {
  const bare = { index: 0, status: "traced" } as unknown as Row;
  expect(columnsOf([bare])).toEqual([]);
  expect(sorted([bare], [], { column: "gone", isDescending: true })).toEqual([bare]);
});

test("a number on a logarithmic axis is placed by its logarithm", () => {
  const rows = [1, 10, 100].map((value, index) => row(index, { "/x": value }));
  const of = column(rows, "/x");
  expect(wantsLog(of, rows)).toBe(true);
  expect(scaleOf(of, rows, true).share(10)).toBeCloseTo(0.5);
  expect(scaleOf(of, rows, false).share(10)).toBeCloseTo(1 / 11);
});

test("an axis with zero has no logarithm, and one value stands in the middle", () => {
  const zero = [row(0, { "/x": 0 }), row(1, { "/x": 1000 })];
  expect(scaleOf(column(zero, "/x"), zero, true)).toMatchObject({ canBeLog: false, isLog: false });
  const one = [row(0, { "/x": 7 })];
  expect(varies(column(one, "/x"), one)).toBe(false);
  expect(scaleOf(column(one, "/x"), one, true).share(7)).toBe(0.5);
});

test("the front has the rows that no other dominates; equal rows stay together", () => {
  const points = [
    [1, 4],
    [2, 2],
    [2, 3],
    [4, 1],
    [2, 2],
  ];
  const rows = points.map(([parameters, multiply_adds], index) =>
    row(index, {}, { parameters, multiply_adds }),
  );
  const x = { column: column(rows, "parameters"), direction: "minimize" as const };
  const y = { column: column(rows, "multiply_adds"), direction: "minimize" as const };
  expect(Array.from(frontOf(rows, x, y)).sort()).toEqual([0, 1, 3, 4]);
  const most = { ...y, direction: "maximize" as const };
  expect(Array.from(frontOf(rows, x, most))).toEqual([0]);
});

test("rows that are refused or lack a figure are on no front", () => {
  const rows = [
    row(0, {}, null),
    row(1, {}, { parameters: null, multiply_adds: 1 }),
    row(2, {}, { parameters: Number.NaN, multiply_adds: 0 }),
    row(3, {}, { parameters: 5, multiply_adds: 5 }),
  ];
  const x = { column: column(rows, "parameters"), direction: "minimize" as const };
  const y = { column: column(rows, "multiply_adds"), direction: "minimize" as const };
  expect(Array.from(frontOf(rows, x, y))).toEqual([3]);
  expect(frontOf([], x, y).size).toBe(0);
});

test("five thousand rows are arranged, and the nearest of them is found", () => {
  const rows = Array.from({ length: 5000 }, (_, index) =>
    row(
      index,
      { "/x": index % 70, "/kind": `k${index % 7}` },
      { parameters: (index * 7919) % 5000, multiply_adds: index + 1 },
    ),
  );
  const columns = columnsOf(rows);
  const order = sorted(rows, columns, { column: "parameters", isDescending: true });
  expect(order[0]?.totals?.parameters).toBe(4999);
  const scale = scaleOf(column(rows, "multiply_adds"), rows, true);
  expect(scale.ticks).toHaveLength(5);
  const points = rows.map(({ index }) => ({ index, x: index, y: 0 }));
  expect(nearest(points, 1234.4, 1, 10)?.index).toBe(1234);
  expect(nearest(points, 1234, 100, 10)).toBeUndefined();
});
