/** What the sweep that is set up would do, as a dry run of the service says. */

import { effect, signal } from "@preact/signals";
import { asProblem, isAbort, type Problem, post, type Schemas } from "../api/client";
import { axes, placedAxes } from "./axes";
import { listingMistake } from "./axis_values";
import { axisPointer, sweepDocument } from "./document";

export const plan = signal<Schemas["SweepPlan"] | null>(null);
export const planProblem = signal<Problem | null>(null);

// A key pressed within this time of the one before asks once.
const WAIT_MS = 250;

/** Keeps the plan up to date until the returned function is called. */
export function startPlanning(): () => void {
  return effect(() => {
    const document = sweepDocument.value;
    if (axes.value.length === 0) {
      plan.value = null;
      planProblem.value = null;
      return;
    }
    const errors = unlisted();
    if (errors.length > 0) {
      plan.value = null;
      planProblem.value = {
        type: "/docs#problem-over-budget",
        title: "An axis has too many values",
        status: 422,
        request_id: "",
        detail: errors.map((each) => each.message).join(" "),
        errors,
      };
      return;
    }
    const controller = new AbortController();
    const timer = setTimeout(() => void ask(document, controller.signal), WAIT_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  });
}

/** Returns what is wrong with axes whose values cannot be written in a document. */
function unlisted(): Problem["errors"] {
  return placedAxes.value.flatMap(({ axis }) => {
    const message = listingMistake(axis.values);
    if (message === undefined) return [];
    const pointer = axisPointer(placedAxes.value, axis.key) ?? "";
    return [{ pointer, message, received: axis.values.count, suggestion: null }];
  });
}

async function ask(document: unknown, signal: AbortSignal): Promise<void> {
  try {
    plan.value = (await post<"SweepPlan">(
      "v1/sweeps?dry_run=true&limit=1",
      document,
      signal,
    )) as Schemas["SweepPlan"];
    planProblem.value = null;
  } catch (error) {
    if (isAbort(error)) return;
    planProblem.value = asProblem(error);
  }
}
