/** What the service describes: ops, architectures, saved scopes; each is fetched once, when needed. */

import { effect, type Signal, signal, untracked } from "@preact/signals";
import { asProblem, get, type Problem, path, type Schemas } from "../api/client";
import { liveBuild } from "../build/live";

/** An answer that may still be on its way: then both are undefined. */
export interface Answer<T> {
  readonly value?: T;
  readonly problem?: Problem;
}

const answers = new Map<string, Signal<Answer<unknown>>>();

function answer<Name extends keyof Schemas>(route: string): Answer<Schemas[Name]> {
  let known = answers.get(route);
  if (known === undefined) {
    known = signal<Answer<unknown>>({});
    answers.set(route, known);
    void load(route, known);
  }
  return known.value as Answer<Schemas[Name]>;
}

async function load(route: string, into: Signal<Answer<unknown>>): Promise<void> {
  try {
    into.value = { value: await get<keyof Schemas>(route) };
  } catch (error) {
    into.value = { problem: asProblem(error) };
  }
}

const SAVED_SCOPES = "v1/scopes?limit=200";

export const opNames = () => answer<"Ops">("v1/ops");
/** Returns the description of an op; nothing of a name that no op has, which is a mistake elsewhere. */
export function opDescription(name: string): Answer<Schemas["OpDescription"]> {
  const isKnown = opNames().value?.ops.some((op) => op.name === name);
  return isKnown ? answer<"OpDescription">(path`v1/ops/${name}`) : {};
}
export const architectures = () => answer<"Architectures">("v1/architectures");
/** Returns the description of an architecture; nothing of a name that none has. */
export function architecture(name: string): Answer<Schemas["ArchitectureDescription"]> {
  const { value: all, problem } = architectures();
  if (problem) return { problem };
  const isKnown = all?.architectures.some((each) => each.name === name);
  return isKnown ? answer<"ArchitectureDescription">(path`v1/architectures/${name}`) : {};
}
export const savedScopes = () => answer<"Scopes">(SAVED_SCOPES);

/** Fetches again what could not be fetched. */
export function retryProblems(): void {
  for (const [route, each] of answers) {
    if (each.peek().problem !== undefined) void load(route, each);
  }
}

/** Fetches what could not be fetched with each build that comes: the service answers again. */
export function startRecovering(): () => void {
  return effect(() => {
    if (liveBuild.value !== null) untracked(retryProblems);
  });
}

/** Fetches the saved scopes again, after one was saved. */
export function refreshSavedScopes(): void {
  const known = answers.get(SAVED_SCOPES);
  if (known) void load(SAVED_SCOPES, known);
}
