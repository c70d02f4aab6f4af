/** The signals of builds by depth: predicted from the trace, and measured by the worker. */

import { computed, signal } from "@preact/signals";
import {
  asProblem,
  get,
  isAbort,
  jsonRequest,
  type Problem,
  path,
  post,
  type Schemas,
  send,
} from "../api/client";
import type { Spec } from "../spec/draft";
import { MODES, type Mode } from "./figures";

export interface Predicted {
  readonly build: string;
  readonly signals: Readonly<Partial<Record<Mode, Schemas["PredictedSignal"]>>>;
}

export const predictions = signal<ReadonlyMap<string, Predicted>>(new Map());
export const predictionProblem = signal<Problem | null>(null);
/** The probes of this visit, by the build. */
export const probes = signal<ReadonlyMap<string, Schemas["Probe"]>>(new Map());

/** What the worker is doing for a probe. */
export interface Measuring {
  readonly build: string;
  readonly state: "running" | "failed";
  /** What the worker says of itself meanwhile. */
  readonly worker?: Schemas["Worker"];
  readonly problem?: Problem;
}
export const measuring = signal<Measuring | null>(null);
export const isMeasuring = computed(() => measuring.value?.state === "running");

/** Asks for the predicted signal of a build, whose id is `build`, in both modes; nothing is stored. */
export async function predict(build: string, spec: Spec, abort: AbortSignal): Promise<void> {
  if (predictions.peek().has(build)) return;
  try {
    const signals = await Promise.all(
      MODES.map(async (mode) => {
        const inMode = { ...spec, is_training: mode === "training" };
        const url = "v1/builds?keep=false&include=predicted_signal";
        return [mode, (await post<"TracedBuild">(url, inMode, abort)).predicted_signal] as const;
      }),
    );
    predictions.value = kept(predictions.peek(), build, {
      build,
      signals: Object.fromEntries(signals),
    });
    predictionProblem.value = null;
  } catch (error) {
    if (!isAbort(error)) predictionProblem.value = asProblem(error);
  }
}

export interface ProbeRequest {
  readonly rows: string;
  readonly seed: string;
  /** A picture in place of noise. */
  readonly picture: File | null;
}

let controller: AbortController | null = null;

/** Keeps the build on the service, and measures its signal there. */
export async function measure(build: string, spec: Spec, request: ProbeRequest): Promise<void> {
  controller?.abort();
  const mine = new AbortController();
  controller = mine;
  measuring.value = { build, state: "running" };
  const stopWatching = watchWorker(build, mine.signal);
  try {
    const stored = await post<"PostedBuild">("v1/builds", spec, mine.signal);
    const query = new URLSearchParams();
    if (request.picture === null && request.rows.trim() !== "") query.set("rows", request.rows);
    if (request.seed.trim() !== "") query.set("seed", request.seed);
    const init: RequestInit =
      request.picture === null
        ? { method: "POST", signal: mine.signal }
        : {
            ...jsonRequest("POST", null, mine.signal),
            headers: { "Content-Type": request.picture.type },
            body: request.picture,
          };
    const response = await send(`${path`v1/builds/${stored.id}/probe`}?${query}`, init);
    const probe = (await response.json()) as Schemas["Probe"];
    probes.value = kept(probes.peek(), build, probe);
    measuring.value = null;
  } catch (error) {
    if (!isAbort(error)) measuring.value = { build, state: "failed", problem: asProblem(error) };
  } finally {
    stopWatching();
  }
}

export function stopMeasuring(): void {
  controller?.abort();
  measuring.value = null;
}

const WATCH_MS = 1000;

/** Asks what the worker does until the returned function is called. */
function watchWorker(build: string, abort: AbortSignal): () => void {
  const look = async () => {
    try {
      const { worker } = await get<"Health">("healthz", abort);
      const current = measuring.peek();
      if (current?.state === "running" && current.build === build) {
        measuring.value = { ...current, worker };
      }
    } catch {
      // The probe itself says what is wrong.
    }
  };
  void look();
  const timer = setInterval(() => void look(), WATCH_MS);
  return () => clearInterval(timer);
}

const MOST_KEPT = 50;

/** Returns the map with one more entry, without the oldest if there are many. */
function kept<Value>(
  map: ReadonlyMap<string, Value>,
  key: string,
  value: Value,
): ReadonlyMap<string, Value> {
  const entries = Array.from(map).filter(([each]) => each !== key);
  return new Map([...entries.slice(-MOST_KEPT + 1), [key, value]]);
}
