import { expect, test } from "vitest";
import { value } from "./format";

test("values are written as the wire format writes them", () => {
  const call = { name: "l2_regularizer", scale: 0.1, of: [1, null, { a: "b" }] };
  expect(value(call)).toBe("l2_regularizer(scale=0.1, of=[1, null, {a: b}])");
});

test("a value that is nested deeply is written in a line, and as quickly as another", () => {
  const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });
  expect(value(nested(60))).toBe(`${"{a: ".repeat(60)}1${"}".repeat(60)}`);
  expect(value(nested(5000))).toBe(`${"{a: ".repeat(65)}…${"}".repeat(65)}`);
});
