/** What the worker does while a prediction waits for it, asked for until the answer comes. */

import { signal } from "@preact/signals";
import { get, path, type Schemas } from "../api/client";

export interface WorkerNews {
  readonly worker: Schemas["Worker"];
  /** By build: whether its network is in memory, or on the way. */
  readonly networks: Readonly<Record<string, string>>;
}

export const news = signal<WorkerNews | null>(null);

const INTERVAL_MS = 500;

/** Asks for news of the worker and of the builds until `signal` ends it. */
export async function watchWorker(builds: readonly string[], ended: AbortSignal): Promise<void> {
  news.value = null;
  while (!ended.aborted) {
    try {
      const [health, ...networks] = await Promise.all([
        get<"Health">("healthz", ended),
        ...builds.map((build) => get<"V2ModelMetadata">(path`v2/models/${build}`, ended)),
      ]);
      const states = networks.map(({ name, properties }) => [name, properties.state ?? ""]);
      news.value = { worker: health.worker, networks: Object.fromEntries(states) };
    } catch {
      // The prediction itself says what is wrong.
    }
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
}

/** Returns what goes on, in a sentence. */
export function spell(all: WorkerNews | null): string {
  if (all === null) return "Sending the input";
  const { worker, networks } = all;
  const why = worker.reason ? `: ${worker.reason}` : "";
  switch (worker.state) {
    case "starting":
      return `The worker is starting; it imports TensorFlow${why}`;
    case "restarting":
      return `The worker is restarting${why}`;
    case "stopped":
      return `The worker is stopped${why}`;
    case "ready": {
      const states = Object.values(networks);
      if (states.includes("loading")) return "Loading the network into memory";
      if (states.includes("unavailable")) return "Waiting until the network can be loaded";
      if (states.includes("unloading")) return "Waiting until the network has left memory";
      return worker.queued > 1
        ? `Computing; ${worker.queued} requests wait for the worker`
        : "Computing";
    }
  }
}
