import { describe, expect, it } from "vitest";
import { commonArguments, firstValue, learnFunction } from "./arguments";

const argument = (name: string, type = "true or false") => ({ name, type, default: true });

describe("the arguments of a level", () => {
  it("are those that all its ops take", () => {
    const conv2d = { arguments: [argument("padding"), argument("rate"), argument("trainable")] };
    const pool = { arguments: [argument("trainable"), argument("padding")] };
    expect(commonArguments([conv2d, pool]).map((each) => each.name)).toEqual([
      "padding",
      "trainable",
    ]);
    expect(commonArguments([conv2d, pool, { arguments: [] }])).toEqual([]);
    expect(commonArguments([])).toEqual([]);
  });

  it("begin with their default, or with something of their type", () => {
    expect(firstValue({ name: "a", type: "a number", default: 0.5 })).toBe(0.5);
    expect(firstValue({ name: "a", type: "a number or null", default: null })).toBeNull();
    expect(firstValue({ name: "a", type: "an integer of at least 1", required: true })).toBe(1);
    expect(firstValue({ name: "a", type: "an initializer by name", values: ["x", "y"] })).toBe("x");
  });
});

describe("the arguments of a function", () => {
  const complete = { name: "normal", mean: 0, stddev: 2 };

  it("are learnt from a build, with the defaults of those that were not sent", () => {
    const known = learnFunction(new Map(), complete, { name: "normal", stddev: 2 });
    expect(known.get("normal")).toEqual({ mean: 0, stddev: undefined });
    expect(learnFunction(known, complete, "normal").get("normal")).toEqual({ mean: 0, stddev: 2 });
  });

  it("do not forget a default when it is set", () => {
    const known = learnFunction(new Map(), { ...complete, stddev: 1 }, "normal");
    expect(learnFunction(known, complete, { name: "normal", stddev: 2 })).toBe(known);
  });

  it("are none of a plain value", () => {
    const known = new Map();
    expect(learnFunction(known, "relu", "relu")).toBe(known);
    expect(learnFunction(known, [1, 2], [1, 2])).toBe(known);
  });
});
