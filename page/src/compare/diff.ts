/** The diff of the two builds that are compared: asked for while a panel shows it. */

import { effect, signal } from "@preact/signals";
import { asProblem, isAbort, type Problem, post, type Schemas } from "../api/client";
import type { Tried } from "../build/history";
import { sideA, sideB } from "./sides";

export type Diff = Schemas["Diff"];

/** A diff, and the builds that it was made of. */
export interface Compared {
  readonly a: Tried;
  readonly b: Tried;
  readonly diff: Diff;
}

/** The last diff that came; it is shown until the next one comes. */
export const compared = signal<Compared | null>(null);
export const diffProblem = signal<Problem | null>(null);
export const isDiffing = signal(false);
const attempt = signal(0);

/** Keeps the diff up to date until the returned function is called. */
export function startDiffing(): () => void {
  return effect(() => {
    attempt.value;
    const [a, b] = [sideA.value, sideB.value];
    const last = compared.peek();
    const isKnown = last?.a.id === a?.id && last?.b.id === b?.id;
    if (a === null || b === null || a.id === b.id || isKnown) {
      isDiffing.value = false;
      return;
    }
    const controller = new AbortController();
    void fetchDiff(a, b, controller.signal);
    return () => controller.abort();
  });
}

export function diffAgain(): void {
  attempt.value += 1;
}

async function fetchDiff(a: Tried, b: Tried, signal: AbortSignal): Promise<void> {
  isDiffing.value = true;
  try {
    const diff = await post<"Diff">("v1/diff", { a: a.spec, b: b.spec }, signal);
    compared.value = { a, b, diff };
    diffProblem.value = null;
  } catch (error) {
    if (isAbort(error)) return;
    diffProblem.value = asProblem(error);
  }
  isDiffing.value = false;
}
