/** The rows of a diff: each layer that differs, and under it the arguments that do. */

import type { Schemas } from "../api/client";
import type { Diff } from "./diff";

export type Status = "changed" | "renamed" | "added" | "removed";
export type LayerDiff = Schemas["LayerDiff"] & { readonly status: Status };
export type Setting = Schemas["Setting"];

export type DiffRow =
  | { readonly kind: "layer"; readonly layer: LayerDiff }
  /** `isAlone`: its layer is in no row, so that the row names it. */
  | { readonly kind: "setting"; readonly setting: Setting; readonly isAlone: boolean };

export const SIGNS: Readonly<Record<Status, string>> = {
  added: "+",
  removed: "−",
  changed: "~",
  renamed: ">",
};

export function rowsOf(diff: Diff, hidden: ReadonlySet<Status>): DiffRow[] {
  const settings = new Map<string, Setting[]>();
  for (const setting of diff.settings.filter((each) => each.status === "changed")) {
    settings.set(setting.layer, [...(settings.get(setting.layer) ?? []), setting]);
  }
  const rows: DiffRow[] = [];
  for (const layer of diff.layers.filter(differs)) {
    const own = (layer.b && settings.get(layer.b.name)) ?? [];
    if (layer.b) settings.delete(layer.b.name);
    if (hidden.has(layer.status)) continue;
    rows.push({ kind: "layer", layer });
    rows.push(...own.map((setting) => ({ kind: "setting", setting, isAlone: false }) as const));
  }
  if (hidden.has("changed")) return rows;
  const others = [...settings.values()].flat();
  return [
    ...rows,
    ...others.map((setting) => ({ kind: "setting", setting, isAlone: true }) as const),
  ];
}

/** Returns the name of the layer that a row speaks of: in B, or in A if B does not have it. */
export function layerOf(row: DiffRow): string {
  if (row.kind === "setting") return row.setting.layer;
  return (row.layer.b ?? row.layer.a)?.name ?? "";
}

function differs(layer: Schemas["LayerDiff"]): layer is LayerDiff {
  return layer.status !== "same";
}
