/** The places of a spec along which a sweep can vary it. */

import type { Schemas } from "../api/client";
import { type Draft, levelPointer } from "../spec/draft";
import { at, type Json, pointer } from "./pointers";

/** A place; one in a level names the level by its key, so that it follows the level when it moves. */
export interface Place {
  readonly level?: string;
  /** From the level, or from the spec. */
  readonly path: string;
  readonly label: string;
  readonly group: string;
  /** What may stand there, in words. */
  readonly type: string;
  /** What may stand there, if that is a closed set. */
  readonly choices: readonly Json[];
  readonly current?: unknown;
}

/** What the service says of the names in a spec; what has not come yet is not there. */
export interface Descriptions {
  readonly architecture: Schemas["ArchitectureDescription"] | undefined;
  readonly ops: Readonly<Record<string, Schemas["OpDescription"]>>;
}

type Described = Schemas["ArgumentDescription"];

export function placeId(place: Place): string {
  return `${place.level ?? ""}${place.path}`;
}

/** Returns the pointer of a place in the spec that is sent; undefined if its level is not in it. */
export function placePointer(draft: Draft, place: Place): string | undefined {
  if (place.level === undefined) return place.path;
  const level = levelPointer(draft, place.level);
  return level === undefined ? undefined : level + place.path;
}

export function placesOf(draft: Draft, known: Descriptions): Place[] {
  const { fields } = draft;
  const architecture = known.architecture;
  const field = (path: string, type: string, otherwise?: unknown, choices: Json[] = []): Place => ({
    path,
    label: path.slice(1),
    group: "Spec",
    type,
    choices,
    current: at(fields, path) ?? otherwise,
  });
  const described = (member: string, group: string, each: Described): Place => ({
    path: pointer(member, each.name),
    label: each.name,
    group,
    type: each.type,
    choices: choicesOf(each),
    current: at(fields, pointer(member, each.name)) ?? each.default,
  });
  return [
    field("/architecture", "an architecture by name, or patterns"),
    field("/input_shape", "height, width, channels", architecture?.input_shape),
    field("/is_training", "true or false", false, [false, true]),
    field("/weights/seed", "an integer of at least 0", 0),
    ...(architecture?.params ?? []).map((each) => described("params", "Parameters", each)),
    ...(architecture?.default_scope.arguments ?? []).map((each) =>
      described("default_scope", "Default scope", each),
    ),
    ...draft.levels
      .filter((each) => each.enabled)
      .flatMap((each, index) => levelPlaces(each.key, index, each.level, known)),
  ];
}

function levelPlaces(level: string, index: number, content: unknown, known: Descriptions): Place[] {
  // The raw JSON may hold anything in place of a level.
  const { ops, args, force } = (content ?? {}) as Readonly<Record<string, unknown>>;
  if (!Array.isArray(ops) || typeof args !== "object" || args === null) return [];
  const group = `Level ${index}: ${ops.join(", ")}`;
  const set = args as Record<string, Json>;
  const described = new Map<string, Described>();
  for (const op of ops) {
    for (const each of known.ops[String(op)]?.arguments ?? []) {
      if (!described.has(each.name)) described.set(each.name, each);
    }
  }
  const names = new Set([...Object.keys(set), ...described.keys()]);
  return [
    ...Array.from(names, (name): Place => {
      const each = described.get(name);
      return {
        level,
        path: pointer("args", name),
        label: name,
        group,
        type: each?.type ?? "any value",
        choices: each ? choicesOf(each) : [],
        current: set[name] ?? each?.default,
      };
    }),
    {
      level,
      path: "/force",
      label: "force",
      group,
      type: "true or false",
      choices: [false, true],
      current: force ?? false,
    },
    {
      level,
      path: "/args",
      label: "the whole level, on or off",
      group,
      type: "all its arguments, or none",
      choices: [set, {}],
      current: set,
    },
  ];
}

/** Returns the values of a closed set; none if any number, shape or text may stand there. */
export function choicesOf({ type, values }: Described): Json[] {
  const orNull = / or null$/.test(type) ? [null] : [];
  if (values) return [...values, ...orNull];
  const words = type.replace(/ or null$/, "").split(" or ");
  if (words.join() === "true,false") return [false, true, ...orNull];
  if (words.every((word) => /^'.*'$/.test(word))) {
    return [...words.map((word) => word.slice(1, -1)), ...orNull];
  }
  if (words.every((word) => /^-?\d+$/.test(word))) return [...words.map(Number), ...orNull];
  return [];
}

/** Whether numbers may stand at a place, so that it has ranges and draws. */
export function isNumeric(place: Place): boolean {
  return place.choices.length === 0 && /^an? (number|integer)/.test(place.type);
}
