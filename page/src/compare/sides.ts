/** Which two builds are compared, A and B. */

import { computed, signal } from "@preact/signals";
import { pinned, type Tried, tried } from "../build/history";
import { tab } from "../ui/view";

/** "pinned" and "live" follow those builds; anything else is the id of a tried build. */
export type Choice = string;

export const choiceA = signal<Choice>("pinned");
export const choiceB = signal<Choice>("live");

export const live = computed(() => tried.value.at(-1) ?? null);
export const sideA = computed(() => buildOf(choiceA.value));
export const sideB = computed(() => buildOf(choiceB.value));

function buildOf(choice: Choice): Tried | null {
  if (choice === "pinned") return pinned.value;
  if (choice === "live") return live.value;
  return tried.value.find((each) => each.id === choice) ?? null;
}

export function swapSides(): void {
  [choiceA.value, choiceB.value] = [choiceB.value, choiceA.value];
}

/** Which part of the panel is shown. */
export const part = signal<"diff" | "history">("diff");

/** Shows how the live build differs from the pinned one. */
export function showDiffToPinned(): void {
  choiceA.value = "pinned";
  choiceB.value = "live";
  part.value = "diff";
  tab.value = "compare";
}

// Made once: with 500 builds, a format for each call takes a third of a second.
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const calendar = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

export function timeOf({ at }: Tried): string {
  return clock.format(at);
}

export function dateOf({ at }: Tried): string {
  return calendar.format(at);
}
