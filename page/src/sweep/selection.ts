/** The one selection of rows, for the table and for the plots; and which rows these show. */

import { computed, signal } from "@preact/signals";
import { type Column, columnsOf, type Order, sorted, varies } from "./columns";
import { type Row, rows } from "./run";
import { type Scale, scaleOf, wantsLog } from "./scale";

export const hoveredRow = signal<number | null>(null);
export const selectedRow = signal<number | null>(null);
export const order = signal<Order>({ column: "index", isDescending: false });

/** The part of each axis within which rows are shown, as shares of its length; by column. */
export const brushes = signal<ReadonlyMap<string, readonly [number, number]>>(new Map());
/** Which axes are logarithmic, where the reader has chosen. */
const chosenLogs = signal<ReadonlyMap<string, boolean>>(new Map());

export const columns = computed(() => columnsOf(rows.value));
const byIndex = computed(() => new Map(rows.value.map((row) => [row.index, row])));

export interface Axis {
  readonly column: Column;
  readonly scale: Scale;
}

/** The axes of the parallel coordinates: what varies. */
export const parallelAxes = computed<readonly Axis[]>(() =>
  columns.value
    .filter((column) => varies(column, rows.value))
    .map((column) => {
      const isLog = chosenLogs.value.get(column.id) ?? wantsLog(column, rows.value);
      return { column, scale: scaleOf(column, rows.value, isLog) };
    }),
);

/** The rows within all brushes, in the order of the sweep. */
export const shownRows = computed<readonly Row[]>(() => {
  if (brushes.value.size === 0) return rows.value;
  const tests = parallelAxes.value.flatMap(({ column, scale }) => {
    const brush = brushes.value.get(column.id);
    return brush ? [{ column, scale, low: brush[0], high: brush[1] }] : [];
  });
  if (tests.length === 0) return rows.value;
  return rows.value.filter((row) =>
    tests.every(({ column, scale, low, high }) => {
      const share = scale.share(column.of(row));
      return share !== undefined && share >= low && share <= high;
    }),
  );
});

export const sortedRows = computed(() => sorted(shownRows.value, columns.value, order.value));

export function rowAt(index: number | null): Row | undefined {
  return index === null ? undefined : byIndex.value.get(index);
}

export function sortBy(column: string): void {
  const { column: before, isDescending } = order.value;
  order.value = { column, isDescending: before === column && !isDescending };
}

/** Shows only the rows within a part of an axis, or, for null, within all of it. */
export function brush(column: string, part: readonly [number, number] | null): void {
  const all = new Map(brushes.value);
  if (part === null) all.delete(column);
  else all.set(column, part);
  brushes.value = all;
}

export function setLog(column: string, isLog: boolean): void {
  brush(column, null);
  chosenLogs.value = new Map(chosenLogs.value).set(column, isLog);
}

/** Forgets what was chosen for the rows of another sweep. */
export function resetSelection(): void {
  hoveredRow.value = null;
  selectedRow.value = null;
  brushes.value = new Map();
  chosenLogs.value = new Map();
  order.value = { column: "index", isDescending: false };
}
