/** JSON pointers (RFC 6901), and specs in which the values of a row are set. */

import type { Spec } from "../spec/draft";

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

export function pointer(...tokens: readonly (string | number)[]): string {
  return tokens
    .map((token) => `/${String(token).replaceAll("~", "~0").replaceAll("/", "~1")}`)
    .join("");
}

export function tokensOf(text: string): string[] {
  return text
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** Returns what stands at a pointer; undefined if there is nothing. */
export function at(document: unknown, place: string): unknown {
  let value = document;
  for (const token of tokensOf(place)) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string, unknown>)[token];
  }
  return value;
}

/** Returns the spec of a row: the base with its values set; objects that are missing are made. */
export function withValues(base: Spec, values: Readonly<Record<string, unknown>>): Spec {
  let spec: unknown = base;
  for (const [place, value] of Object.entries(values)) spec = set(spec, tokensOf(place), value);
  return spec as Spec;
}

function set(document: unknown, tokens: readonly string[], value: unknown): unknown {
  const [token, ...others] = tokens;
  if (token === undefined) return value;
  if (Array.isArray(document)) {
    return document.map((item, index) =>
      String(index) === token ? set(item, others, value) : item,
    );
  }
  const members = (document ?? {}) as Record<string, unknown>;
  return { ...members, [token]: set(members[token], others, value) };
}
