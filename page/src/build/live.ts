/** The build of the draft: traced at every edit, never stored. */

import { computed, effect, signal } from "@preact/signals";
import { asProblem, isAbort, type Problem, post, type Schemas } from "../api/client";
import { token } from "../api/token";
import { draft, type Spec, specOf } from "../spec/draft";

/** What `POST v1/builds?keep=false` answers. */
export type LiveBuild = Schemas["TracedBuild"];
export type Layer = Schemas["Layer"];

/** The reports that are asked for after the totals are painted, each while a panel shows it. */
export interface Reports {
  explanation: Schemas["Explanation"];
  graph: Schemas["Graph"];
  code: Schemas["Code"];
  /** Comes with `code`: why a style cannot express the build. */
  code_problems: Schemas["CodeProblems"];
}
export type ReportName = Exclude<keyof Reports, "code_problems">;

/** The last build that succeeded; the panels go on showing it while the draft has a problem. */
export const liveBuild = signal<LiveBuild | null>(null);
/** The spec that `liveBuild` was made from, as it was sent. */
export const liveSpec = signal<Spec | null>(null);
/** Why the draft as it is now cannot be built; null if it can. */
export const liveProblem = signal<Problem | null>(null);
export const isTracing = signal(false);

/** The reports that have come, all of one build. */
const reports = signal<{ readonly build: string; readonly has: Partial<Reports> }>({
  build: "",
  has: {},
});
const reportProblems = signal<Partial<Record<ReportName, Problem>>>({});
const wanted = signal<Readonly<Partial<Record<ReportName, number>>>>({});

/** The mistakes that the service found in the draft, by their JSON pointers. */
export const mistakes = computed(() => {
  const byPointer = new Map<string, Schemas["ProblemItem"][]>();
  for (const error of liveProblem.value?.errors ?? []) {
    byPointer.set(error.pointer, [...(byPointer.get(error.pointer) ?? []), error]);
  }
  return byPointer;
});

/** A service that did not answer is asked again after so long. */
const RETRY_MS = 3000;

let sending = false;
let sentSpec = "";
let retrying = 0;

/** Traces the draft now and at each edit; of edits made meanwhile, only the last is traced. */
export function startTracing(): () => void {
  return effect(() => {
    draft.value;
    if (!sending) void traceUntilCurrent();
  });
}

async function traceUntilCurrent(): Promise<void> {
  sending = true;
  isTracing.value = true;
  for (
    let spec = specOf(draft.peek());
    JSON.stringify(spec) !== sentSpec;
    spec = specOf(draft.peek())
  ) {
    sentSpec = JSON.stringify(spec);
    await traceOnce(spec);
  }
  isTracing.value = false;
  sending = false;
}

async function traceOnce(spec: Spec): Promise<void> {
  try {
    const build = await post<"TracedBuild">("v1/builds?keep=false", spec);
    liveSpec.value = spec;
    liveBuild.value = build;
    liveProblem.value = null;
  } catch (error) {
    liveProblem.value = asProblem(error);
    if (liveProblem.value.status !== 0) return;
    clearTimeout(retrying);
    retrying = window.setTimeout(traceAgain, RETRY_MS);
  }
}

/** Asks again for the same draft, after the service did not answer. */
export function traceAgain(): void {
  clearTimeout(retrying);
  sentSpec = "";
  if (!sending) void traceUntilCurrent();
}

/** Asks again when the reader gives a token, after he gave none and the service refused. */
export function traceWithToken(): () => void {
  return effect(() => {
    if (token.value !== null && liveProblem.peek()?.status === 401) traceAgain();
  });
}

// Reports --------------------------------------------------------------------------------------

/** Returns a report of the live build; undefined until it has come. */
export function report<Name extends keyof Reports>(name: Name): Reports[Name] | undefined {
  return reports.value.has[name];
}

/** Whether the report belongs to the live build, and not to the one before. */
export function isCurrent(name: ReportName): boolean {
  return reports.value.build === liveBuild.value?.id && reports.value.has[name] !== undefined;
}

export function reportProblem(name: ReportName): Problem | undefined {
  return reportProblems.value[name];
}

/** Keeps a report up to date until the returned function is called. */
export function want(name: ReportName): () => void {
  count(name, 1);
  return () => count(name, -1);
}

function count(name: ReportName, change: number): void {
  const counts = wanted.peek();
  wanted.value = { ...counts, [name]: (counts[name] ?? 0) + change };
}

/** The reports of an edit wait for a pause in typing: making them would delay the next trace. */
const TYPING_PAUSE_MS = 150;

let asking: AbortController | null = null;

/** Fetches the wanted reports of each live build, after the browser has painted its totals. */
export function startReporting(): () => void {
  return effect(() => {
    const build = liveBuild.value;
    const spec = liveSpec.value;
    const names = (Object.keys(wanted.value) as ReportName[]).filter((name) => wanted.value[name]);
    asking?.abort();
    asking = null;
    if (build === null || spec === null || isTracing.value) return;
    const { build: reported, has } = reports.peek();
    const missing = names.filter((name) => reported !== build.id || has[name] === undefined);
    if (missing.length === 0) return;
    const controller = new AbortController();
    asking = controller;
    const isEdit = reported !== "" && reported !== build.id;
    afterPaint(
      () => void fetchReports(build.id, spec, missing, controller.signal),
      isEdit ? TYPING_PAUSE_MS : 0,
    );
  });
}

async function fetchReports(
  build: string,
  spec: Spec,
  names: readonly ReportName[],
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) return;
  const query = names.map((name) => `&include=${name}`).join("");
  try {
    const answer = await post<"TracedBuild">(`v1/builds?keep=false${query}`, spec, signal);
    const others = reports.peek().build === build ? reports.peek().has : {};
    reports.value = { build, has: { ...others, ...reportsOf(answer) } };
    reportProblems.value = {};
  } catch (error) {
    if (isAbort(error)) return;
    const problem = asProblem(error);
    reportProblems.value = Object.fromEntries(names.map((name) => [name, problem]));
  }
}

function reportsOf({ explanation, graph, code, code_problems }: LiveBuild): Partial<Reports> {
  return {
    ...(explanation && { explanation }),
    ...(graph && { graph }),
    ...(code && { code }),
    ...(code_problems && { code_problems }),
  };
}

/** Calls `task` once the browser has painted what the signals have changed, or later. */
function afterPaint(task: () => void, pauseMs: number): void {
  requestAnimationFrame(() => setTimeout(task, pauseMs));
}
