/** The sweep that is set up, as the service takes it, and the commands that run it elsewhere. */

import { computed } from "@preact/signals";
import { serviceUrl } from "../api/client";
import { draft, type Spec, specOf } from "../spec/draft";
import { type Axis, axes, options, placedAxes, type SweepOptions } from "./axes";
import { axisDocument } from "./axis_values";
import { type Json, pointer } from "./pointers";

export interface SweepDocument {
  readonly spec: Spec;
  readonly axes: Readonly<Record<string, Json>>;
  readonly [option: string]: unknown;
}

type Placed = { readonly axis: Axis; readonly pointer: string };

export const sweepDocument = computed(() =>
  documentOf(specOf(draft.value), placedAxes.value, options.value),
);

/** The axes that are left out of the document, because their level is not in the spec. */
export const lostAxes = computed(() => {
  const placed = new Set(placedAxes.value.map(({ axis }) => axis.key));
  return new Set(axes.value.map((axis) => axis.key).filter((key) => !placed.has(key)));
});

export function documentOf(
  spec: Spec,
  placed: readonly Placed[],
  { method, rows, seed, where, predictGain }: SweepOptions,
): SweepDocument {
  const isGrid = method === "grid";
  const conditions = where
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "");
  const isDrawn = !isGrid || placed.some(({ axis }) => axis.values.kind === "draws");
  return {
    spec,
    ...(!isGrid && { method }),
    axes: Object.fromEntries(
      groupsOf(placed).map((group, index): [string, Json] => {
        const members = group.map(({ axis, pointer }): [string, Json] => [
          pointer,
          axisDocument(axis.values, isGrid),
        ]);
        const [only] = members;
        return members.length === 1 && only
          ? only
          : [groupName(index), { zip: Object.fromEntries(members) }];
      }),
    ),
    ...(conditions.length > 0 && { where: conditions }),
    ...(predictGain && { columns: ["predicted_gain"] }),
    ...(!isGrid && { run_cap: typed(rows) }),
    ...(isDrawn && { seed: typed(seed) }),
  };
}

/** Returns the pointer of an axis in the document, at which the service says what is wrong with it. */
export function axisPointer(placed: readonly Placed[], key: string): string | undefined {
  const groups = groupsOf(placed);
  const index = groups.findIndex((group) => group.some(({ axis }) => axis.key === key));
  const member = groups[index]?.find(({ axis }) => axis.key === key);
  if (member === undefined) return undefined;
  return (groups[index]?.length ?? 0) > 1
    ? pointer("axes", groupName(index), "zip", member.pointer)
    : pointer("axes", member.pointer);
}

function groupName(index: number): string {
  return `group_${index}`;
}

/** Returns the axes, those that move in step with each other together. */
function groupsOf(placed: readonly Placed[]): Placed[][] {
  const groups: Placed[][] = [];
  for (const each of placed) {
    const last = groups.at(-1);
    if (each.axis.inStep && last) last.push(each);
    else groups.push([each]);
  }
  return groups;
}

function typed(text: string): unknown {
  const number = Number(text);
  return text.trim() === "" || !Number.isFinite(number) ? text : number;
}

/** Returns the command that runs a sweep in a shell. */
export function curlCommand(document: SweepDocument): string {
  const body = JSON.stringify(document).replaceAll("'", "'\\''");
  return `curl -s -H 'Accept: application/x-ndjson' ${serviceUrl("v1/sweeps")} -d '${body}'`;
}
