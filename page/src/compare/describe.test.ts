import { describe, expect, test } from "vitest";
import type { Spec } from "../spec/draft";
import { changes } from "./describe";

const RELU6 = { ops: ["conv2d"], args: { activation_fn: "relu6" } };
const DECAY = { ops: ["batch_norm"], args: { decay: 0.9, scale: true } };
const L2 = {
  ops: ["conv2d"],
  args: { weights_regularizer: { name: "l2_regularizer", scale: 0.1 } },
};

function spec(scopes: unknown, fields: object = {}): Spec {
  return { architecture: "lenet", ...fields, scopes } as Spec;
}

describe("the changes between two specs", () => {
  test("are none for the same", () => {
    expect(changes(spec([RELU6]), spec([RELU6]))).toEqual([]);
  });

  test("name fields with both values", () => {
    const before = spec([], { params: { num_classes: 10, gone: null } });
    const after = spec([], {
      architecture: "cifarnet",
      params: { num_classes: 11 },
      input_shape: [8, 8, 3],
    });
    expect(changes(before, after)).toEqual([
      "architecture: lenet → cifarnet",
      "params.num_classes: 10 → 11",
      "− params.gone: null",
      "+ input_shape: [8, 8, 3]",
    ]);
  });

  test("name levels that came and went", () => {
    expect(changes(spec([DECAY]), spec([DECAY, RELU6]))).toEqual([
      "+ conv2d activation_fn=relu6 at level 1",
    ]);
    expect(changes(spec([L2, DECAY]), spec([DECAY]))).toEqual([
      "− conv2d weights_regularizer=l2_regularizer(scale=0.1) at level 0",
    ]);
  });

  test("name what changed in a level, by its place after the change", () => {
    const changed = { ...DECAY, args: { decay: 0.99, center: false }, layers: ["a/*"] };
    expect(changes(spec([RELU6, DECAY]), spec([changed]))).toEqual([
      "level 0: ops: [conv2d] → [batch_norm]",
      "level 0: − activation_fn: relu6",
      "level 0: + decay: 0.99",
      "level 0: + center: false",
      "level 0: + layers: [a/*]",
      "− batch_norm decay=0.9 scale=true at level 1",
    ]);
    expect(changes(spec([RELU6, DECAY]), spec([RELU6, changed]))).toEqual([
      "level 1: decay: 0.9 → 0.99",
      "level 1: − scale: true",
      "level 1: + center: false",
      "level 1: + layers: [a/*]",
    ]);
  });

  test("name a level that moved", () => {
    expect(changes(spec([RELU6, DECAY, L2]), spec([DECAY, L2, RELU6]))).toEqual([
      "level 0 moved to 2",
    ]);
  });

  test("of odd specs are told without failing", () => {
    expect(changes(spec("none"), spec([null, 3, { include: "s" }]))).toEqual([
      "+ null at level 0",
      "+ 3 at level 1",
      "+ include s at level 2",
    ]);
  });
});
