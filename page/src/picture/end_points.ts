/** The end points that are shown, and their arrays, each fetched when it is first shown. */

import { signal } from "@preact/signals";
import { path } from "../api/client";
import { type NpyArray, readNpy } from "./npy";
import type { Colours } from "./pixels";
import { layoutOf } from "./pixels";
import { type Result, sendInput } from "./run";

export type Shapes = Readonly<Record<string, readonly (number | null)[]>>;

/** Null until a person has chosen: then the first map and one of the middle are shown. */
export const chosen = signal<readonly string[] | null>(null);
export const channelCount = signal(8);
export const colours = signal<Colours>("grey");

export function shownEndPoints(shapes: Shapes): readonly string[] {
  if (chosen.value === null) return firstEndPoints(shapes);
  const kept = chosen.value.filter((name) => name in shapes);
  return kept.length > 0 || chosen.value.length === 0 ? kept : firstEndPoints(shapes);
}

export function firstEndPoints(shapes: Shapes): readonly string[] {
  const maps = Object.keys(shapes).filter((name) => layoutOf(shapes[name] ?? []).kind !== "vector");
  const names = maps.length > 0 ? maps : Object.keys(shapes);
  const middle = names[Math.floor(names.length / 2)];
  return [...new Set([names[0], middle].filter((name) => name !== undefined))];
}

let cachedFor: Result | null = null;
const cache = new Map<string, Promise<NpyArray>>();

/** Returns an end point of a build for the input of a result. Rejects with ProblemError. */
export function fetchEndPoint(result: Result, build: string, name: string): Promise<NpyArray> {
  if (cachedFor !== result) {
    cache.clear();
    cachedFor = result;
  }
  const key = `${build} ${name}`;
  const known = cache.get(key);
  if (known) return known;
  const fetched = fetchArray(result, build, name);
  cache.set(key, fetched);
  fetched.catch(() => cache.delete(key));
  return fetched;
}

async function fetchArray(result: Result, build: string, name: string): Promise<NpyArray> {
  const route = path`v1/builds/${build}/predict?format=npy&end_points=${name}`;
  const response = await sendInput(route, result.input);
  return readNpy(await response.arrayBuffer());
}

/** Returns the bytes of an end point of one row, as float32. */
export function bytesOf(shape: readonly (number | null)[]): number {
  return shape.slice(1).reduce<number>((product, size) => product * (size ?? 1), 4);
}
