/** Runs the live build, and the pinned one beside it, on the input. */

import { batch, computed, signal } from "@preact/signals";
import {
  asProblem,
  get,
  isAbort,
  type Problem,
  path,
  post,
  type Schemas,
  send,
} from "../api/client";
import { pinned } from "../build/history";
import { liveBuild, liveSpec } from "../build/live";
import type { Spec } from "../spec/draft";
import { formOf, type Input, input } from "./input";
import { watchWorker } from "./progress";

type Build = Schemas["Build"];

/** What a build made of the input, from a prediction or from a comparison. */
export interface Answer {
  readonly predictions: readonly (readonly Schemas["Class"][])[] | null;
  readonly warnings: readonly string[];
  readonly rows: number;
  readonly preprocessing: string | null;
  readonly engine: string | null;
  readonly precision: string | null;
  readonly seconds: Readonly<Record<string, number>>;
}

export interface Outcome {
  readonly role: "live" | "pinned";
  readonly build: Build;
  readonly answer: Answer | null;
  readonly problem: Problem | null;
}

export interface Result {
  readonly input: Input;
  readonly outcomes: readonly Outcome[];
  readonly agreement: Schemas["Pair"] | null;
}

export interface Progress {
  readonly step: "storing" | "computing";
  readonly since: number;
}

export const follows = signal(false);
export const besidePinned = signal(false);
export const progress = signal<Progress | null>(null);
export const failure = signal<Problem | null>(null);
/** The last result; it stays while the next one is computed. */
export const result = signal<Result | null>(null);
/** The row of the input that is shown; a picture is one row. */
export const row = signal(0);

export const canCompare = computed(
  () => pinned.value !== null && pinned.value.id !== liveBuild.value?.id,
);
const wantsBoth = computed(() => besidePinned.value && canCompare.value);

/** Whether the result is that of the input and the builds as they are now. */
export const isCurrent = computed(() => {
  const last = result.value;
  if (last === null || last.input !== input.value) return false;
  const builds = last.outcomes.map((outcome) => outcome.build.id);
  const wanted = [liveBuild.value?.id, ...(wantsBoth.value ? [pinned.value?.id] : [])];
  return builds.length === wanted.length && builds.every((id, index) => id === wanted[index]);
});

let running: AbortController | null = null;

export function cancel(): void {
  running?.abort();
  running = null;
  progress.value = null;
}

export async function run(): Promise<void> {
  const [given, spec, other] = [input.value, liveSpec.value, pinned.value];
  if (given === null || spec === null) return;
  cancel();
  const controller = new AbortController();
  running = controller;
  const since = performance.now();
  batch(() => {
    failure.value = null;
    progress.value = { step: "storing", since };
  });
  try {
    const { signal } = controller;
    const specs: Spec[] = wantsBoth.value && other ? [spec, other.spec] : [spec];
    const builds = await Promise.all(specs.map((each) => post<"Build">("v1/builds", each, signal)));
    progress.value = { step: "computing", since };
    const ids = builds.map((build) => build.id);
    void watchWorker(ids, signal);
    const [live, beside] = builds as [Build, Build?];
    const answered = beside
      ? await compare(given, live, beside, signal)
      : await predict(given, live, signal);
    if (running !== controller) return;
    if (result.value?.input !== given) row.value = 0;
    result.value = answered;
  } catch (error) {
    if (!isAbort(error) && running === controller) failure.value = asProblem(error);
  } finally {
    if (running === controller) cancel();
  }
}

async function predict(given: Input, build: Build, signal: AbortSignal): Promise<Result> {
  // Without top_k, so that a build which returns features is no error.
  const response = await sendInput(path`v1/builds/${build.id}/predict`, given, signal);
  const body = (await response.json()) as Schemas["Prediction"];
  const { properties } = await get<"V2ModelMetadata">(path`v2/models/${build.id}`, signal);
  const answer: Answer = {
    predictions: body.predictions ?? null,
    warnings: body.warnings,
    rows: body.rows,
    preprocessing: body.preprocessing,
    engine: properties.engine ?? null,
    precision: properties.precision ?? null,
    seconds: readTimings(response.headers.get("Server-Timing") ?? ""),
  };
  return {
    input: given,
    outcomes: [{ role: "live", build, answer, problem: null }],
    agreement: null,
  };
}

async function compare(
  given: Input,
  live: Build,
  beside: Build,
  signal: AbortSignal,
): Promise<Result> {
  const response = await sendInput(`v1/compare?builds=${live.id},${beside.id}`, given, signal);
  const body = (await response.json()) as Schemas["Comparison"];
  const outcomes = body.results.map((each, index): Outcome => {
    const [role, build] = index === 0 ? (["live", live] as const) : (["pinned", beside] as const);
    if ("problem" in each) {
      return { role, build, answer: null, problem: { ...each.problem, request_id: "" } };
    }
    const { predictions = null, ...answer } = each;
    return { role, build, answer: { ...answer, predictions }, problem: null };
  });
  return { input: given, outcomes, agreement: body.pairs[0] ?? null };
}

/** Sends the input as a form, and returns the answer. Throws ProblemError. */
export function sendInput(route: string, given: Input, signal?: AbortSignal): Promise<Response> {
  return send(route, { method: "POST", body: formOf(given), ...(signal && { signal }) });
}

/** Returns the seconds by phase of a Server-Timing header. */
export function readTimings(header: string): Record<string, number> {
  const phases = header.matchAll(/([\w-]+);dur=([\d.]+)/g);
  return Object.fromEntries(Array.from(phases, ([, name = "", ms]) => [name, Number(ms) / 1000]));
}
