import { describe, expect, it, test } from "vitest";
import { indexAt, levelPlace, placesIn, sizesOf } from "./places";

const level = { ops: ["conv2d"], args: {} };
const house = { levels: ["/scopes/0", "/scopes/1", "/scopes/2"] };

describe("the place of a level in the build", () => {
  const sizes = new Map([["house", 3]]);

  it("is its own, but behind a saved scope, which stands for its levels", () => {
    expect(placesIn([level, { include: "house" }, level], sizes)).toEqual([0, 1, 4]);
  });

  it("is none where a saved scope has replaced all outside it", () => {
    expect(placesIn([level, { saved: "house" }, level], sizes)).toEqual([undefined, 0, 3]);
  });
});

test("each level of a saved scope came from the level that names it", () => {
  const places = [undefined, 0, 3];
  expect([0, 1, 2, 3].map((place) => indexAt(places, place))).toEqual([1, 1, 1, 2]);
});

test("a saved scope that is named twice has the same size at both", () => {
  const sent = [{ include: "house" }, level, { include: "house" }];
  expect(sizesOf(sent, [house, house])).toEqual(new Map([["house", 3]]));
});

test("what a saved scope drops is no use", () => {
  const sent = [{ include: "garden" }, { saved: "house" }, level];
  expect(sizesOf(sent, [house])).toEqual(new Map([["house", 3]]));
});

test("only pointers into levels have a place", () => {
  expect(levelPlace("/scopes/12/args/decay")).toBe(12);
  expect(levelPlace("/default_scope")).toBeNull();
  expect(levelPlace("model_zoo/architectures/lenet.py:20 (lenet_arg_scope)")).toBeNull();
});
