import { describe, expect, it } from "vitest";
import { placesIn } from "./places";

describe("the place of a level in the build", () => {
  const level = { ops: ["conv2d"], args: {} };
  const counts = new Map([["house", 3]]);

  it("is its own, but behind a saved scope, which stands for its levels", () => {
    expect(placesIn([level, { include: "house" }, level], counts)).toEqual([0, 1, 4]);
  });

  it("is none where a saved scope has replaced all outside it", () => {
    expect(placesIn([level, { saved: "house" }, level], counts)).toEqual([undefined, 0, 3]);
  });
});
