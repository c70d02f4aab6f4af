/** The sweep that runs or has run: its rows, as they arrive. */

import { signal } from "@preact/signals";
import {
  asProblem,
  isAbort,
  jsonRequest,
  type Problem,
  path,
  type Schemas,
  send,
} from "../api/client";
import type { SweepDocument } from "./document";

export type Row = Schemas["SweepRow"];

/**
 * `running`: rows arrive; `done`: all are there; `ended`: the reader ended it, and the service kept
 * nothing; `stopped`: the service stopped, and posted again it goes on; `failed`: see `problem`.
 */
export type RunState = "running" | "done" | "ended" | "stopped" | "failed";

export interface Run {
  readonly id: string;
  readonly document: SweepDocument;
  readonly state: RunState;
  /** How many rows there will be. */
  readonly total: number;
  readonly reason?: string;
  readonly problem?: Problem;
}

export const run = signal<Run | null>(null);
export const rows = signal<readonly Row[]>([]);

// The table and the plots are drawn anew for what came in this time, not for each row; where there
// are many, which takes longer and changes less, more seldom.
const PUBLISH_MS = 150;
const PUBLISH_MS_A_ROW = 0.2;
let controller: AbortController | null = null;

/** Starts a sweep, in place of the one before; that goes on at the service, if it still runs. */
export async function startRun(document: SweepDocument): Promise<void> {
  controller?.abort();
  const mine = new AbortController();
  controller = mine;
  rows.value = [];
  run.value = { id: "", document, state: "running", total: 0 };
  const change = (update: Partial<Run>) => {
    if (controller === mine && run.value) run.value = { ...run.value, ...update };
  };
  try {
    const request = jsonRequest("POST", document, mine.signal);
    const response = await send("v1/sweeps?format=ndjson", request);
    change({
      id: response.headers.get("Location")?.split("/").at(-1) ?? "",
      total: Number.parseInt(response.headers.get("Sweep-Rows") ?? "", 10) || 0,
    });
    const end = await readRows(response, (all) => {
      if (controller === mine) rows.value = all;
    });
    change(end === undefined ? { state: "done" } : { state: "stopped", reason: end });
  } catch (error) {
    if (isAbort(error)) return;
    change({ state: "failed", problem: asProblem(error) });
  }
}

/** Ends the sweep at the service too, which deletes its rows there; those that came stay here. */
export async function endRun(): Promise<void> {
  const ended = run.value;
  if (ended === null || ended.state !== "running") return;
  controller?.abort();
  run.value = { ...ended, state: "ended" };
  if (ended.id === "") return;
  try {
    await send(path`v1/sweeps/${ended.id}`, { method: "DELETE" });
  } catch (error) {
    run.value = { ...ended, state: "failed", problem: asProblem(error) };
  }
}

/** Reads rows line by line; returns why the service stopped before the end, if it did. */
async function readRows(
  response: Response,
  publish: (rows: readonly Row[]) => void,
): Promise<string | undefined> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const all: Row[] = [];
  let reason: string | undefined;
  let rest = "";
  let published = 0;
  const take = (line: string) => {
    if (line.trim() === "") return;
    const each = JSON.parse(line) as Row | { reason: string | null; state: string };
    if ("index" in each) all.push(each);
    else reason = each.reason ?? `The service says only that the sweep is ${each.state}.`;
  };
  for (;;) {
    const part = await reader?.read();
    if (part === undefined || part.done) break;
    const lines = (rest + part.value).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(take);
    if (performance.now() - published > PUBLISH_MS + PUBLISH_MS_A_ROW * all.length) {
      published = performance.now();
      publish([...all]);
    }
  }
  take(rest);
  publish(all);
  return reason;
}
