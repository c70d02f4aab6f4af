/** What the scatter shows, and the Pareto front of it. */

import { computed, effect, signal } from "@preact/signals";
import { asProblem, isAbort, type Problem } from "../api/client";
import { isNumeric, varies } from "./columns";
import { type Direction, frontOf, type Objective, storedFront } from "./front";
import { rows, run } from "./run";
import { columns } from "./selection";

type Choice = { readonly column: string; readonly direction: Direction };

export const isDominatedShown = signal(true);

// A row of this front has more parameters than any that computes as little.
export const xObjective = objective({ column: "multiply_adds", direction: "minimize" }, 0);
export const yObjective = objective({ column: "parameters", direction: "maximize" }, 1);

/** An objective that falls back to another column where the rows have not the chosen one. */
function objective(first: Choice, place: 0 | 1) {
  const choice = signal(first);
  const chosen = computed<Objective | undefined>(() => {
    const numeric = columns.value.filter((column) => isNumeric(column, rows.value));
    const usual = numeric.filter((column) => varies(column, rows.value));
    const column =
      numeric.find((each) => each.id === choice.value.column) ?? usual[place] ?? numeric[place];
    return column && { column, direction: choice.value.direction };
  });
  return {
    get value() {
      return chosen.value;
    },
    choose(change: Partial<Choice>) {
      choice.value = { ...choice.value, ...change };
    },
  };
}

/** The front that the service has computed, and of what. */
const stored = signal<{ readonly key: string; readonly front: ReadonlySet<number> } | null>(null);
/** Why the service has not given its front, and of what. */
const failed = signal<{ readonly key: string; readonly problem: Problem } | null>(null);
const storedKey = computed(() => {
  const [x, y] = [xObjective.value, yObjective.value];
  if (run.value?.state !== "done" || run.value.id === "" || !x || !y) return null;
  // The service has fronts of figures, and of two.
  if (x.column.kind !== "figure" || y.column.kind !== "figure") return null;
  if (x.column.id === y.column.id) return null;
  return [run.value.id, x.column.id, x.direction, y.column.id, y.direction].join();
});

/** The rows on the front: of those that have come, until the service has all of them. */
export const front = computed<ReadonlySet<number>>(() => {
  const [x, y] = [xObjective.value, yObjective.value];
  if (stored.value !== null && stored.value.key === storedKey.value) return stored.value.front;
  return x && y ? frontOf(rows.value, x, y) : new Set<number>();
});

/** Why the front is that of the rows that are here, where the service should have given its own. */
export const frontProblem = computed<Problem | null>(() =>
  failed.value !== null && failed.value.key === storedKey.value ? failed.value.problem : null,
);
const attempt = signal(0);

export function askFrontAgain(): void {
  attempt.value += 1;
}

/** Asks the service for the front until the returned function is called. */
export function startFront(): () => void {
  return effect(() => {
    attempt.value;
    const key = storedKey.value;
    const [current, x, y] = [run.peek(), xObjective.value, yObjective.value];
    if (key === null || current === null || !x || !y) return;
    const controller = new AbortController();
    storedFront(current, x, y, controller.signal).then(
      (front) => {
        stored.value = { key, front };
        failed.value = null;
      },
      (error: unknown) => {
        if (!isAbort(error)) failed.value = { key, problem: asProblem(error) };
      },
    );
    return () => controller.abort();
  });
}
