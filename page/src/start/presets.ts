/** Networks to start from, each with what it shows; the first is examples/demo.json. */

import type { Spec } from "../spec/draft";
import presets from "./presets.json";

export interface Preset {
  readonly title: string;
  readonly sentence: string;
  readonly spec: Spec;
}

export const PRESETS = presets as unknown as readonly [Preset, ...Preset[]];
