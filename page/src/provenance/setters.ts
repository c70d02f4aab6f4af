/** Who set an argument, and which layers each level reaches, wins at and loses at. */

import { computed } from "@preact/signals";
import type { Schemas } from "../api/client";
import { report } from "../build/live";

export type Call = Schemas["Call"];
export type Argument = Schemas["Argument"];

/** Who set a value. `level` is a level of the request, `index` its place in the spec of the build. */
export type Setter =
  | { readonly by: "default" | "network" | "default_scope" | "code" }
  | { readonly by: "level"; readonly index: number };

/** Anything that says where it was written: an argument, or a value that it beat. */
type Written = { readonly level?: string; readonly written_at?: string };

/** How many levels have a colour of their own; after these the colours repeat, numbers do not. */
export const LEVEL_COLOURS = 6;

export function setterOf(written: Written): Setter {
  switch (written.level) {
    case undefined:
      return { by: "default" };
    case "request":
      return { by: "level", index: Number(/^\/scopes\/(\d+)/.exec(written.written_at ?? "")?.[1]) };
    default:
      return { by: written.level as "network" | "default_scope" | "code" };
  }
}

/** Returns the CSS class that colours what a setter set; style/setters.css has the colours. */
export function setterClass(setter: Setter): string {
  return setter.by === "level"
    ? `set-by-level-${setter.index % LEVEL_COLOURS}`
    : `set-by-${setter.by.replace("_", "-")}`;
}

/** Returns the mark of a setter, which tells it without its colour: a level's number, or a letter. */
export function setterMark(setter: Setter): string {
  const marks = { default: "", network: "N", default_scope: "D", code: "C" };
  return setter.by === "level" ? String(setter.index) : marks[setter.by];
}

export function setterName(setter: Setter): string {
  const names = {
    default: "the op's default",
    network: "the network",
    default_scope: "the default scope",
    code: "other code",
  };
  return setter.by === "level" ? `level ${setter.index}` : names[setter.by];
}

/** The calls of the live build by the layer that they make, as the explanation has them. */
export const callsByLayer = computed<ReadonlyMap<string, readonly Call[]>>(() => {
  const calls = new Map<string, Call[]>();
  for (const call of report("explanation")?.calls ?? []) {
    const others = calls.get(call.layer);
    if (others) others.push(call);
    else calls.set(call.layer, [call]);
  }
  return calls;
});

/** The layers at which a level has set an argument, and at which it was beaten. */
export interface LevelFate {
  readonly won: ReadonlySet<string>;
  readonly lost: ReadonlySet<string>;
}

/** What became of each level of the request, by its place; a layer may be in both sets. */
export const levelFates = computed(() => fatesOf(report("explanation")?.calls ?? []));

/** Returns what became of each level, by its place, at these layers. */
export function fatesOf(
  calls: Iterable<{ readonly layer: string; readonly arguments: readonly Argument[] }>,
): ReadonlyMap<number, LevelFate> {
  const fates = new Map<number, { won: Set<string>; lost: Set<string> }>();
  const add = (written: Written, layer: string, outcome: "won" | "lost") => {
    const setter = setterOf(written);
    if (setter.by !== "level") return;
    let fate = fates.get(setter.index);
    if (fate === undefined) {
      fate = { won: new Set(), lost: new Set() };
      fates.set(setter.index, fate);
    }
    fate[outcome].add(layer);
  };
  for (const call of calls) {
    for (const argument of call.arguments) {
      add(argument, call.layer, "won");
      for (const beaten of argument.beat ?? []) add(beaten, call.layer, "lost");
    }
  }
  return fates;
}
