/** Patterns of layer names: `*` stands for any characters, all else for itself; a whole name must fit. */

import { computed } from "@preact/signals";
import { liveBuild } from "../build/live";
import { callsByLayer } from "../provenance/setters";

export function fits(name: string, pattern: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return name === pattern;
  if (!name.startsWith(first)) return false;
  let position = first.length;
  for (const literal of rest) {
    const start = name.indexOf(literal, position);
    if (start < 0) return false;
    position = start + literal.length;
  }
  return name.length - last.length >= position && name.endsWith(last);
}

/** The layers that patterns are held against: those of the explanation, which has normalizers too. */
export const layerNames = computed<readonly string[]>(() => {
  const called = [...callsByLayer.value.keys()];
  return called.length > 0 ? called : (liveBuild.value?.layers.map((layer) => layer.name) ?? []);
});

/** Patterns to choose from: each scope with all inside it, then each layer. */
export const patternChoices = computed<readonly string[]>(() => {
  const scopes = new Set<string>();
  for (const name of layerNames.value) {
    const parts = name.split("/");
    for (let depth = 1; depth < parts.length; depth += 1) {
      scopes.add(`${parts.slice(0, depth).join("/")}/*`);
    }
  }
  return [...scopes, ...layerNames.value];
});

/** Returns how many layers fit one of the patterns and none of those excepted. */
export function matched(patterns: readonly string[], except: readonly string[] = []): number {
  return layerNames.value.filter(
    (name) =>
      patterns.some((pattern) => fits(name, pattern)) &&
      !except.some((pattern) => fits(name, pattern)),
  ).length;
}
