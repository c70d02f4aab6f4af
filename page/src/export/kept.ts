/** Builds that this visit has stored: sharing by id and downloads of weights need one. */

import { signal } from "@preact/signals";
import { post } from "../api/client";
import type { Spec } from "../spec/draft";

export const kept = signal<ReadonlySet<string>>(new Set());

/** Stores the build of a spec, and returns its id. */
export async function keep(spec: Spec): Promise<string> {
  const { id } = await post<"Build">("v1/builds", spec);
  kept.value = new Set([...kept.value, id]);
  return id;
}
