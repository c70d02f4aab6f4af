/** The descriptions of ops; each is fetched once, when it is first shown. */

import { type Signal, signal } from "@preact/signals";
import { get, path, type Schemas } from "../api/client";

type OpDescription = Schemas["OpDescription"];

const described = new Map<string, Signal<OpDescription | null>>();

/** Returns what the service says of an op; null until it has come, or if it cannot be had. */
export function opDescription(name: string): OpDescription | null {
  let known = described.get(name);
  if (known === undefined) {
    known = signal<OpDescription | null>(null);
    described.set(name, known);
    void load(name, known);
  }
  return known.value;
}

async function load(name: string, into: Signal<OpDescription | null>): Promise<void> {
  try {
    into.value = await get<"OpDescription">(path`v1/ops/${name}`);
  } catch {
    described.delete(name); // help alone is missing: it is asked for again when next shown
  }
}
