/** The rows of the table: the layers that fit the filter, sorted. */

import type { Layer } from "../build/live";
import type { Argument, Call } from "../provenance/setters";
import { value } from "../ui/format";
import type { Column } from "./columns";

/** Null keeps the order of the network. */
export type Sort = { readonly column: string; readonly descending: boolean } | null;

/** Returns a test of a text: it contains the filter or, if that has a `*`, fits it as a whole. */
export function filterTest(filter: string): (text: string) => boolean {
  const wanted = filter.trim().toLowerCase();
  if (!wanted.includes("*")) return (text) => text.toLowerCase().includes(wanted);
  const parts = wanted.split("*").map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, "\\$&"));
  const pattern = new RegExp(`^${parts.join("[^]*")}$`, "i");
  return (text) => pattern.test(text);
}

export function filterLayers(
  layers: readonly Layer[],
  filter: string,
  only: ReadonlySet<string> | null,
): readonly Layer[] {
  if (filter.trim() === "" && only === null) return layers;
  const fits = filterTest(filter);
  return layers.filter(
    (layer) => (only === null || only.has(layer.name)) && (fits(layer.name) || fits(layer.op)),
  );
}

export function sortLayers(
  layers: readonly Layer[],
  sort: Sort,
  columns: readonly Column[],
  callsByLayer: ReadonlyMap<string, readonly Call[]>,
): readonly Layer[] {
  if (sort === null) return layers;
  const column = columns.find((each) => each.id === sort.column);
  const key = (layer: Layer): number | string => {
    if (sort.column === "name") return layer.name;
    if (column === undefined) return 0;
    if (column.kind === "fact") return column.sortsBy(layer);
    const found = argumentOf(callsByLayer.get(layer.name), column.title);
    return found ? value(found.argument.value) : "";
  };
  const sign = sort.descending ? -1 : 1;
  return layers
    .map((layer) => ({ layer, key: key(layer) }))
    .sort((a, b) => sign * compare(a.key, b.key))
    .map((each) => each.layer);
}

function compare(a: number | string, b: number | string): number {
  if (typeof a === "number" && typeof b === "number") return a === b ? 0 : a < b ? -1 : 1;
  // A layer without the argument has an empty text; natural order puts conv2 before conv10.
  return collator.compare(String(a), String(b));
}
const collator = new Intl.Collator("en", { numeric: true });

/** Returns an argument of a layer's calls, and the call; of several calls, the first that has it. */
export function argumentOf(
  calls: readonly Call[] | undefined,
  name: string,
): { readonly call: Call; readonly argument: Argument } | undefined {
  for (const call of calls ?? []) {
    const argument = call.arguments.find((each) => each.name === name);
    if (argument) return { call, argument };
  }
  return undefined;
}

/** Returns the scope that all layers with a scope share, with its slash; empty if there is none. */
export function commonScope(names: readonly string[]): string {
  const scoped = names.filter((name) => name.includes("/"));
  const first = scoped[0]?.split("/")[0];
  if (first === undefined || scoped.length < 2) return "";
  return scoped.every((name) => name.startsWith(`${first}/`)) ? `${first}/` : "";
}
