/** The curves that the plot and the table show, as the reader has chosen. */

import { computed, signal } from "@preact/signals";
import { pinned } from "../build/history";
import { liveBuild } from "../build/live";
import {
  type Curve,
  FIGURES,
  type Figure,
  MODES,
  type Mode,
  measuredCurves,
  predictedCurve,
} from "./figures";
import { predictions, probes } from "./signals";

export const figure = signal<Figure>("rms");
const chosenLog = signal<boolean | null>(null);
export const shownModes = signal<ReadonlySet<Mode>>(new Set(MODES));
export const isPinnedShown = signal(true);

export const isLog = computed(
  () => chosenLog.value ?? FIGURES.find((each) => each.id === figure.value)?.isLog ?? false,
);

export function chooseFigure(id: Figure): void {
  figure.value = id;
  chosenLog.value = null;
}

export function setLog(log: boolean): void {
  chosenLog.value = log;
}

/** The pinned build, if it is another than the live one. */
export const otherBuild = computed(() =>
  pinned.value !== null && pinned.value.id !== liveBuild.value?.id ? pinned.value : null,
);

export const curves = computed<readonly Curve[]>(() => {
  const builds = [
    { id: liveBuild.value?.id, build: "live" as const },
    { id: isPinnedShown.value ? otherBuild.value?.id : undefined, build: "pinned" as const },
  ];
  return builds.flatMap(({ id, build }) => {
    if (id === undefined) return [];
    const probe = probes.value.get(id);
    const predicted = MODES.flatMap((mode) => {
      const signal = predictions.value.get(id)?.signals[mode];
      const curve = signal && predictedCurve(signal, build, mode, figure.value);
      return curve ? [curve] : [];
    });
    const measured = probe ? measuredCurves(probe, build, figure.value) : [];
    return [...measured, ...predicted].filter((curve) => shownModes.value.has(curve.mode));
  });
});

/** The layers of the live build, by which the table and the plot are ordered. */
export const layerNames = computed(() => liveBuild.value?.layers.map((layer) => layer.name) ?? []);
