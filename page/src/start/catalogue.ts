/** Search, ranges and order of the catalogue of architectures. */

import type { Schemas } from "../api/client";

export type Architecture = Schemas["ArchitectureItem"] & { readonly family?: string };

export type Column = "name" | "family" | "parameters" | "multiply_adds";
export interface Order {
  readonly by: Column;
  readonly descending: boolean;
}
export interface Range {
  readonly from: number | null;
  readonly to: number | null;
}
export interface Filter {
  readonly text: string;
  readonly family: string;
  readonly parameters: Range;
  readonly multiply_adds: Range;
}

/** Returns the architectures that fit, in order; those that are equal there stay as they were. */
export function selected(
  all: readonly Architecture[],
  filter: Filter,
  { by, descending }: Order,
): Architecture[] {
  const words = plain(filter.text).split(" ").filter(Boolean);
  const fitting = all.filter((each) => {
    const text = plain(`${each.name} ${each.family ?? ""} ${each.source}`);
    return (
      words.every((word) => text.includes(word)) &&
      (filter.family === "" || each.family === filter.family) &&
      within(each.parameters, filter.parameters) &&
      within(each.multiply_adds, filter.multiply_adds)
    );
  });
  const sign = descending ? -1 : 1;
  return fitting.toSorted((one, other) => sign * compared(one[by] ?? "", other[by] ?? ""));
}

export function families(all: readonly Architecture[]): string[] {
  return [...new Set(all.flatMap((each) => each.family ?? []))].toSorted(compared);
}

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9, b: 1e9, t: 1e12 };

/** Returns the number that "5M", "1.5 G" or "5e6" is; null if empty, undefined if it is none. */
export function count(text: string): number | null | undefined {
  const compact = text.replace(/[\s,_]/g, "").toLowerCase();
  if (compact === "") return null;
  const parts = /^(\d+(?:\.\d*)?(?:e\d+)?|\.\d+)([kmgbt]?)$/.exec(compact);
  const unit = UNITS[parts?.[2] ?? ""];
  return parts?.[1] === undefined || unit === undefined ? undefined : Number(parts[1]) * unit;
}

function within(value: number, { from, to }: Range): boolean {
  return (from === null || value >= from) && (to === null || value <= to);
}

function plain(text: string): string {
  return text.toLowerCase().replaceAll("_", " ");
}

function compared(one: string | number, other: string | number): number {
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), "en", { numeric: true });
}
