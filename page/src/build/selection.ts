/** What is selected, and what the pointer is on: shared by the table, the graph and the plots. */

import { signal } from "@preact/signals";

/** The selected layer, by the name that the summary shows; it stands in the address. */
export const selectedLayer = signal<string | null>(null);
/** The argument of the selected layer whose setters are shown: the op's name and the argument's. */
export const selectedArgument = signal<{ readonly op: string; readonly argument: string } | null>(
  null,
);
/** The level that the pointer or the focus is on, by its place in the build's spec (places.ts). */
export const hoveredLevel = signal<number | null>(null);
export const hoveredLayer = signal<string | null>(null);
/** The layers that a warning or a diff points at. */
export const markedLayers = signal<ReadonlySet<string>>(new Set());
