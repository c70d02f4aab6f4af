/** The arguments that a level can set, and those of functions such as initializers. */

import { computed } from "@preact/signals";
import type { Schemas } from "../api/client";
import { liveBuild } from "../build/live";
import { sentLevels, sentPlaces } from "../build/places";
import { opDescription } from "../catalogue/catalogue";
import { type Description, isObject } from "./kinds";

/** Returns the arguments that all of some ops take, as the first of them describes them. */
export function commonArguments(
  ops: readonly Pick<Schemas["OpDescription"], "arguments">[],
): Description[] {
  const [first, ...others] = ops;
  if (first === undefined) return [];
  return first.arguments.filter((argument) =>
    others.every((op) => op.arguments.some((each) => each.name === argument.name)),
  );
}

/** Returns the arguments that all the ops take; ops that are unknown, or still fetched, count not. */
export function argumentsOf(ops: readonly string[]): Description[] {
  return commonArguments(ops.flatMap((op) => opDescription(op).value ?? []));
}

/** Returns what an argument holds at first: its default, or something of its type. */
export function firstValue(description: Description): unknown {
  if (description.default !== undefined) return description.default;
  if (/ or null$/.test(description.type)) return null;
  if (description.values) return description.values[0];
  if (description.type === "true or false") return true;
  return /^an? (integer|number)/.test(description.type) ? 1 : "";
}

/** The arguments of functions by the function's name; undefined stands for an unknown default. */
export type FunctionArguments = ReadonlyMap<string, Readonly<Record<string, unknown>>>;

/** Adds what a complete value tells of its function; `sent` says which arguments are no defaults. */
export function learnFunction(
  known: FunctionArguments,
  complete: unknown,
  sent: unknown,
): FunctionArguments {
  if (!isObject(complete) || typeof complete.name !== "string") return known;
  const { name, ...all } = complete;
  const set = isObject(sent) ? sent : {};
  const before = known.get(name as string) ?? {};
  const after: Record<string, unknown> = { ...before };
  for (const [argument, value] of Object.entries(all)) {
    if (!(argument in set)) after[argument] = value;
    else if (!(argument in after)) after[argument] = undefined;
  }
  if (JSON.stringify(entries(before)) === JSON.stringify(entries(after))) return known;
  return new Map(known).set(name as string, after);
}

// JSON leaves undefined out of objects, but not out of lists.
function entries(each: Readonly<Record<string, unknown>>): unknown[] {
  return Object.entries(each);
}

let learnt: FunctionArguments = new Map();

/**
 * What the builds have told of functions: a build's spec has each with all its arguments.
 *
 * The service describes no function's arguments by itself; what one needs and does not get is a
 * mistake with the argument's pointer, which the field shows as well.
 */
export const functionArguments = computed(() => {
  const complete = liveBuild.value?.spec.scopes ?? [];
  const sent = sentLevels.value;
  sentPlaces.value.forEach((place, index) => {
    const level = place === undefined ? undefined : complete[place];
    const own: unknown = sent[index];
    const ownArgs = isObject(own) && isObject(own.args) ? own.args : undefined;
    if (level === undefined || ownArgs === undefined || !("args" in level)) return;
    for (const [name, value] of Object.entries(level.args)) {
      learnt = learnFunction(learnt, value, ownArgs[name]);
    }
  });
  return learnt;
});
