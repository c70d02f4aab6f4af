/** The axes of the sweep that is being set up. */

import { computed, signal } from "@preact/signals";
import { draft, levelKey } from "../spec/draft";
import type { AxisValues } from "./axis_values";
import { initialValues } from "./axis_values";
import { type Place, placeId, placePointer } from "./places";

export interface Axis {
  readonly key: string;
  readonly place: Place;
  readonly values: AxisValues;
  /** Whether it moves in step with the axis before it, in place of making a product with it. */
  readonly inStep: boolean;
}

/** What a sweep has besides its axes, as it is typed. */
export interface SweepOptions {
  readonly method: "grid" | "random";
  readonly rows: string;
  readonly seed: string;
  readonly where: string;
  readonly predictGain: boolean;
}

export const axes = signal<readonly Axis[]>([]);
export const options = signal<SweepOptions>({
  method: "grid",
  rows: "100",
  seed: "0",
  where: "",
  predictGain: false,
});

/** The places that an axis varies already. */
export const takenPlaces = computed(() => new Set(axes.value.map((axis) => placeId(axis.place))));

export function addAxis(place: Place): void {
  const axis = { key: levelKey(), place, values: initialValues(place), inStep: false };
  axes.value = [...axes.value, axis];
}

export function removeAxis(key: string): void {
  axes.value = axes.value.filter((axis) => axis.key !== key);
}

export function changeAxis(key: string, change: Partial<Axis>): void {
  axes.value = axes.value.map((axis) => (axis.key === key ? { ...axis, ...change } : axis));
}

export function moveAxis(key: string, step: -1 | 1): void {
  const from = axes.value.findIndex((axis) => axis.key === key);
  const moved = axes.value[from];
  const to = from + step;
  if (moved === undefined || to < 0 || to >= axes.value.length) return;
  axes.value = axes.value.toSpliced(from, 1).toSpliced(to, 0, moved);
}

/** The axes whose place is in the draft as it is now, each with its pointer. */
export const placedAxes = computed(() =>
  axes.value.flatMap((axis) => {
    const pointer = placePointer(draft.value, axis.place);
    return pointer === undefined ? [] : [{ axis, pointer }];
  }),
);
