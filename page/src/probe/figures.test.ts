/** The curves survive networks and numbers of any kind. */

import { expect, test } from "vitest";
import type { Schemas } from "../api/client";
import { drawable, measuredCurves, predictedCurve } from "./figures";

function predicted(rms: (number | null)[]): Schemas["PredictedSignal"] {
  const layers = rms.map((each, index) => ({
    name: `layer${index}`,
    op: "conv2d",
    mean: 0,
    std: each,
    rms: each,
    gain: null,
    spread: null,
  }));
  return { predicted_gain: null, spread: null, reason: null, layers };
}

test("the predicted gain from the input is relative to the input's rms", () => {
  const curve = predictedCurve(predicted([2, 1, null]), "live", "training", "gain_from_input");
  expect(curve?.values).toEqual([1, 0.5, null]);
});

test("a figure that only a measurement has is not predicted", () => {
  expect(predictedCurve(predicted([1, 1]), "live", "inference", "zero_fraction")).toBeNull();
  expect(predictedCurve(predicted([]), "live", "inference", "rms")).toBeNull();
});

test("a logarithmic plot leaves out what has no logarithm", () => {
  const numbers = [1, 0, -1, Number.NaN, null];
  const modes = [{ mode: "inference", layers: numbers.map((rms) => ({ name: "x", rms })) }];
  const probe = { modes } as unknown as Schemas["Probe"];
  const [curve] = measuredCurves(probe, "live", "rms");
  if (curve === undefined) throw new Error("no curve");
  expect(curve.values).toEqual([1, 0, -1, null, null]);
  expect(drawable(curve, true)).toEqual([1, null, null, null, null]);
  expect(drawable(curve, false)).toEqual([1, 0, -1, null, null]);
});
