/** What a probe measures of each layer, and what the trace predicts of it. */

import type { Schemas } from "../api/client";

export type Mode = "inference" | "training";
export const MODES: readonly Mode[] = ["inference", "training"];

export const FIGURES = [
  { id: "rms", label: "rms", isLog: true },
  { id: "gain_from_input", label: "gain from the input", isLog: true },
  { id: "gain", label: "gain of the layer", isLog: true },
  { id: "std", label: "standard deviation", isLog: true },
  { id: "mean", label: "mean", isLog: false },
  { id: "min", label: "least value", isLog: false },
  { id: "max", label: "largest value", isLog: false },
  { id: "zero_fraction", label: "share of zeros", isLog: false },
  { id: "dead_units", label: "share of dead units", isLog: false },
  { id: "saturated", label: "share saturated", isLog: false },
  { id: "non_finite", label: "values that are not finite", isLog: false },
  { id: "channel_squared_mean", label: "channel squared mean", isLog: true },
  { id: "channel_variance", label: "channel variance", isLog: true },
] as const;
export type Figure = (typeof FIGURES)[number]["id"];

/** A curve over the depth of a network; null where there is no number. */
export interface Curve {
  readonly build: "live" | "pinned";
  readonly mode: Mode;
  readonly source: "measured" | "predicted";
  readonly layers: readonly string[];
  readonly values: readonly (number | null)[];
}

export function curveName({ build, mode, source }: Curve): string {
  return `${source}, ${mode}${build === "pinned" ? ", pinned" : ""}`;
}

export function measuredCurves(
  probe: Schemas["Probe"],
  build: Curve["build"],
  figure: Figure,
): Curve[] {
  return probe.modes.map(({ mode, layers }) => ({
    build,
    mode,
    source: "measured",
    layers: layers.map((layer) => layer.name),
    values: layers.map((layer) => finite(layer[figure])),
  }));
}

/** Returns the predicted curve; null of a figure that is only measured. */
export function predictedCurve(
  signal: Schemas["PredictedSignal"],
  build: Curve["build"],
  mode: Mode,
  figure: Figure,
): Curve | null {
  const input = signal.layers[0]?.rms;
  const of = (layer: Schemas["PredictedLayer"]): number | null => {
    switch (figure) {
      case "rms":
      case "std":
      case "mean":
      case "gain":
        return layer[figure];
      case "gain_from_input":
        return layer.rms !== null && input ? layer.rms / input : null;
      default:
        return null;
    }
  };
  const values = signal.layers.map((layer) => finite(of(layer)));
  if (values.every((value) => value === null)) return null;
  return {
    build,
    mode,
    source: "predicted",
    layers: signal.layers.map((each) => each.name),
    values,
  };
}

function finite(value: number | null | undefined): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** Returns the values that a plot can show: on a logarithmic axis, those above 0. */
export function drawable(curve: Curve, isLog: boolean): (number | null)[] {
  return curve.values.map((value) => (value !== null && (!isLog || value > 0) ? value : null));
}
