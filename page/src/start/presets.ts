/** Networks to start from, each with what it shows. */

import type { Spec } from "../spec/draft";

export interface Preset {
  readonly title: string;
  readonly sentence: string;
  readonly spec: Spec;
}

export const PRESETS: readonly [Preset, ...Preset[]] = [
  {
    title: "Four nested levels on Inception v3",
    sentence: "Two of these overrides do less than they say: see who beats them.",
    spec: {
      architecture: "inception_v3",
      params: { num_classes: 1001 },
      scopes: [
        {
          ops: ["conv2d", "separable_conv2d"],
          args: { activation_fn: "relu6", normalizer_fn: "batch_norm" },
        },
        { ops: ["batch_norm"], args: { decay: 0.997, scale: true } },
        {
          ops: ["conv2d"],
          args: { weights_regularizer: { name: "l2_regularizer", scale: 0.0001 } },
        },
        { ops: ["separable_conv2d"], args: { weights_regularizer: null } },
      ] as never,
    },
  },
];
