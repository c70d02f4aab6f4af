import { expect, test } from "vitest";
import { levelPlace, sentIndices } from "./places";

const level = { ops: ["conv2d"], args: {} };

test("levels stand where they were sent", () => {
  expect(sentIndices([level, level], [])).toEqual([0, 1]);
});

test("each level of a saved scope stands for the level that names it", () => {
  const uses = [{ levels: ["/scopes/1", "/scopes/2"] }];
  expect(sentIndices([level, { include: "house" }, level], uses)).toEqual([0, 1, 1, 2]);
});

test("a saved scope drops the levels outside it", () => {
  const uses = [{ levels: ["/scopes/0"] }];
  expect(sentIndices([level, level, { saved: "house" }, level], uses)).toEqual([2, 3]);
});

test("only pointers into levels have a place", () => {
  expect(levelPlace("/scopes/12/args/decay")).toBe(12);
  expect(levelPlace("/default_scope")).toBeNull();
  expect(levelPlace("model_zoo/architectures/lenet.py:20 (lenet_arg_scope)")).toBeNull();
});
