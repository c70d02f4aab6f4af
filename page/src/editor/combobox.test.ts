import { describe, expect, it } from "vitest";
import { narrowed } from "./combobox";

describe("a list of choices", () => {
  it("is narrowed by words, what begins with them first", () => {
    const choices = ["batch_norm", "group_norm", "normalizer_fn"].map((value) => ({ value }));
    expect(narrowed(choices, "norm").map((each) => each.value)).toEqual([
      "normalizer_fn",
      "batch_norm",
      "group_norm",
    ]);
    expect(narrowed(choices, "norm gr").map((each) => each.value)).toEqual(["group_norm"]);
    expect(narrowed(choices, "")).toHaveLength(3);
  });
});
