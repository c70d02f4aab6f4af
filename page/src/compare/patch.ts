/** A JSON Patch (RFC 6902) made readable: the values before, and after. */

import type { Schemas } from "../api/client";

export interface Change {
  readonly sign: "+" | "-" | "~";
  readonly path: string;
  /** Undefined if there was none. */
  readonly before: unknown;
  readonly after: unknown;
}

type Operation = Schemas["Operation"];

/**
 * Returns the changes of a patch, by their places: in the old document what was removed, in the new
 * one the rest. Each operation applies to what those before it have made.
 */
export function changesOf(patch: readonly Operation[], document: unknown): Change[] {
  let current = document;
  const changes = patch.map(({ op, path, value }, index) => {
    const keys = keysOf(path);
    const before = op === "add" ? undefined : at(current, keys);
    const after = op === "remove" ? undefined : value;
    current = applied(current, keys, op, value);
    const others = op === "remove" ? patch.slice(0, index).toReversed() : patch.slice(index + 1);
    const place = others.reduce((moved, each) => shifted(moved, each, op === "remove"), keys);
    return { sign: SIGNS[op], path: pathOf(place), before, after };
  });
  return changes.toSorted((one, other) =>
    one.path.localeCompare(other.path, "en", { numeric: true }),
  );
}

/** Returns where an item of a list is after an operation on the list, or was before it. */
function shifted(keys: readonly string[], { op, path }: Operation, back: boolean): string[] {
  const other = keysOf(path);
  const place = other.length - 1;
  const [index, inserted] = [Number(keys[place]), Number(other[place])];
  const isSibling = other.slice(0, place).every((key, each) => key === keys[each]);
  const moved = [...keys];
  if (op === "replace" || !isSibling || Number.isNaN(index) || Number.isNaN(inserted)) return moved;
  const isAfter = (op === "add") === back ? index > inserted : index >= inserted;
  if (isAfter) moved[place] = String((op === "add") === back ? index - 1 : index + 1);
  return moved;
}

function keysOf(path: string): string[] {
  return path
    .split("/")
    .slice(1)
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function pathOf(keys: readonly string[]): string {
  return keys.map((key) => `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

const SIGNS = { add: "+", remove: "-", replace: "~" } as const;

function at(document: unknown, keys: readonly string[]): unknown {
  let found = document;
  for (const key of keys) {
    if (typeof found !== "object" || found === null) return undefined;
    found = (found as Record<string, unknown>)[key];
  }
  return found;
}

function applied(
  document: unknown,
  [key, ...keys]: readonly string[],
  op: Operation["op"],
  value: unknown,
): unknown {
  if (key === undefined) return value;
  if (Array.isArray(document)) {
    const index = key === "-" ? document.length : Number(key);
    if (keys.length > 0) return document.with(index, applied(document[index], keys, op, value));
    const inserted = op === "remove" ? [] : [value];
    return document.toSpliced(index, op === "add" ? 0 : 1, ...inserted);
  }
  const members = { ...(document as Record<string, unknown>) };
  if (keys.length > 0) members[key] = applied(members[key], keys, op, value);
  else if (op === "remove") delete members[key];
  else members[key] = value;
  return members;
}
