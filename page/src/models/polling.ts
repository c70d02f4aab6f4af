/** Answers that are asked for again and again while a panel shows them, each failing alone. */

import { type Signal, signal } from "@preact/signals";
import { asProblem, isAbort, type Problem } from "../api/client";

/** What was answered last, and why the last request failed, if it did. */
export interface Polled<Value> {
  readonly value: Signal<Value | null>;
  readonly problem: Signal<Problem | null>;
  readonly refresh: () => Promise<void>;
}

const INTERVAL_MS = 3000;

export function polled<Value>(ask: () => Promise<Value>): Polled<Value> {
  const value = signal<Value | null>(null);
  const problem = signal<Problem | null>(null);
  let last = 0;
  const refresh = async () => {
    last += 1;
    const mine = last;
    try {
      const answer = await ask();
      if (mine !== last) return; // a later request knows better
      value.value = answer;
      problem.value = null;
    } catch (error) {
      if (mine === last && !isAbort(error)) problem.value = asProblem(error);
    }
  };
  return { value, problem, refresh };
}

/** Calls `refresh` now and every three seconds, while the window is visible. */
export function keepFresh(refresh: () => Promise<void>): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isEnded = false;
  const turn = async () => {
    clearTimeout(timer);
    if (isEnded || document.visibilityState === "hidden") return;
    await refresh();
    clearTimeout(timer);
    if (!isEnded) timer = setTimeout(turn, INTERVAL_MS);
  };
  const onVisibility = () => void turn();
  document.addEventListener("visibilitychange", onVisibility);
  void turn();
  return () => {
    isEnded = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", onVisibility);
  };
}
