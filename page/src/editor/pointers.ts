/** JSON pointers (RFC 6901) into the draft: which field shows one, and what stands there. */

import { changeLevel, type Draft, enabledLevels, type Level, setField } from "../spec/draft";
import { isObject } from "./kinds";

export function tokens(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

export function pointerOf(...parts: readonly (string | number)[]): string {
  return parts
    .map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`)
    .join("");
}

/** Whether a pointer is `outer`, or points inside it. */
export function isWithin(pointer: string, outer: string): boolean {
  return pointer === outer || pointer.startsWith(`${outer}/`);
}

const HEADER = new Set(["architecture", "params", "input_shape", "is_training", "default_scope"]);

/** Whether a field of the editor shows the mistakes at a pointer; the others stand at the top. */
export function hasField(pointer: string, enabledCount: number): boolean {
  const [first = "", second = ""] = tokens(pointer);
  if (first === "scopes") return /^\d+$/.test(second) && Number(second) < enabledCount;
  return HEADER.has(first);
}

export function valueAt(document: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, token) => {
    if (Array.isArray(inner)) return inner[Number(token)];
    return isObject(inner) && Object.hasOwn(inner, token) ? inner[token] : undefined;
  }, document);
}

/** Returns the document with another value at a path; undefined takes away what is there. */
export function withValue(document: unknown, path: readonly string[], value: unknown): unknown {
  const [token, ...inner] = path;
  if (token === undefined) return value;
  if (Array.isArray(document)) {
    const index = Number(token);
    const item = withValue(document[index], inner, value);
    return item === undefined ? document.toSpliced(index, 1) : document.with(index, item);
  }
  const object = isObject(document) ? document : {};
  const changed = withValue(object[token], inner, value);
  if (changed !== undefined) return { ...object, [token]: changed };
  const { [token]: _, ...others } = object;
  return others;
}

/** Returns the document with another name for the member at a path; its place and value stay. */
export function withName(document: unknown, path: readonly string[], name: string): unknown {
  const parent = path.slice(0, -1);
  const members = valueAt(document, parent);
  if (!isObject(members)) return document;
  const renamed = Object.entries(members).map(([key, value]) =>
    key === path.at(-1) ? [name, value] : [key, value],
  );
  return withValue(document, parent, Object.fromEntries(renamed));
}

/** Returns what stands at a pointer of the spec that is sent. */
export function sentValue(draft: Draft, pointer: string): unknown {
  const [first = "", ...path] = tokens(pointer);
  if (first !== "scopes" || path.length === 0) return valueAt(draft.fields, [first, ...path]);
  const [index, ...inner] = path;
  return valueAt(enabledLevels(draft)[Number(index)]?.level, inner);
}

/** Changes what a pointer of the spec that is sent leads to: `change` gets its document and path. */
export function changeAt(
  draft: Draft,
  pointer: string,
  change: (document: unknown, path: readonly string[]) => unknown,
): void {
  const [first = "", ...path] = tokens(pointer);
  if (first !== "scopes") {
    const fields = change(draft.fields, [first, ...path]) as Draft["fields"];
    for (const name of new Set([...Object.keys(draft.fields), ...Object.keys(fields)])) {
      if (fields[name] !== draft.fields[name]) setField(name, fields[name]);
    }
    return;
  }
  const [index, ...inner] = path;
  const key = enabledLevels(draft)[Number(index)]?.key;
  if (key === undefined) return;
  changeLevel(key, (each) => ({ ...each, level: change(each.level, inner) as Level }));
}
