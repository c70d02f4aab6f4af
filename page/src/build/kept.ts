/** Stored builds that this visit has made or opened: short links and weights need one. */

import { signal } from "@preact/signals";
import { post } from "../api/client";
import type { Spec } from "../spec/draft";

export const kept = signal<ReadonlySet<string>>(new Set());

/** Stores the build of a spec, and returns its id. */
export async function keep(spec: Spec): Promise<string> {
  const { id } = await post<"Build">("v1/builds", spec);
  rememberKept(id);
  return id;
}

export function rememberKept(id: string): void {
  kept.value = new Set([...kept.value, id]);
}
