import { describe, expect, it } from "vitest";
import { isEqual, kindOf, parse, shows, textOf } from "./kinds";

describe("the kind of an argument", () => {
  it.each([
    ["true or false or null", { is: "boolean", nullable: true }],
    ["'SAME' or 'VALID'", { is: "choice", values: ["SAME", "VALID"], nullable: false }],
    ["8 or 16 or 32 or null", { is: "choice", values: [8, 16, 32], nullable: true }],
    ["an integer of at least 1", { is: "number", nullable: false }],
    ["a number above 0 and of at most 1 or null", { is: "number", nullable: true }],
    [
      "an integer of at least 1 or a list of 2, each an integer of at least 1",
      { is: "numbers", nullable: false },
    ],
    [
      "a list of at most 5, each an integer of at least 1 or null or null",
      { is: "numbers", nullable: true },
    ],
    ["a string or null", { is: "text", nullable: true }],
    ["an object of a normalizer's arguments or null", { is: "arguments", nullable: true }],
    ["an object of initializers or null", { is: "json" }],
  ])("is read from the words %s", (type, kind) => {
    expect(kindOf({ type })).toEqual(kind);
  });

  it("is a function where the service lists names", () => {
    expect(kindOf({ type: "an activation by name or null", values: ["relu"] })).toEqual({
      is: "function",
      names: ["relu"],
      nullable: true,
    });
  });
});

describe("a text", () => {
  const number = { is: "number", nullable: true } as const;
  const numbers = { is: "numbers", nullable: true } as const;
  it.each([
    [number, "0.50", 0.5],
    [number, "1e-4", 0.0001],
    [number, "null", null],
    [number, "", ""],
    [number, "0x10", "0x10"],
    [number, "1e999", "1e999"],
    [number, "half", "half"],
    [numbers, "2", 2],
    [numbers, "2, 3", [2, 3]],
    [numbers, "[7]", [7]],
    [numbers, "3, null", [3, null]],
    [numbers, "2, x", [2, "x"]],
    [{ is: "json" }, '{"a": [1]}', { a: [1] }],
    [{ is: "text", nullable: true }, "null", null],
    [{ is: "text", nullable: false }, "null", "null"],
  ] as const)("of %o, %s, means %o", (kind, text, value) => {
    expect(parse(kind, text)).toEqual({ value });
  });

  it("that is no JSON is told, not sent", () => {
    expect(parse({ is: "json" }, "{a: 1}")).toEqual({
      error: "This is not JSON yet: strings stand in double quotes.",
    });
  });

  it.each([[3], [[3]], [[1, 2]], [[]], ["x"], [null]])("of the value %o gives it back", (value) => {
    expect(parse(numbers, textOf(numbers, value))).toEqual({ value });
  });
});

describe("a value", () => {
  it("that its kind cannot show is left to JSON", () => {
    expect(shows({ is: "number", nullable: false }, null)).toBe(false);
    expect(shows({ is: "number", nullable: false }, { a: 1 })).toBe(false);
    expect(shows({ is: "numbers", nullable: false }, [1, "x"])).toBe(false);
    expect(shows({ is: "function", names: [], nullable: false }, { name: "x", y: 1 })).toBe(true);
  });

  it("is equal to another whatever the order of its members", () => {
    expect(isEqual({ a: 1, b: [2, { c: 3 }] }, { b: [2, { c: 3 }], a: 1 })).toBe(true);
    expect(isEqual({ a: undefined }, { b: undefined })).toBe(false);
    expect(isEqual([1, 2], [2, 1])).toBe(false);
    expect(isEqual(null, {})).toBe(false);
  });
});
