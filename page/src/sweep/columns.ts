/** What is said of each row: the columns of the table, and the axes of the plots. */

import { bytes, exact, short, value as spelled } from "../ui/format";
import { significant } from "../ui/significant";
import type { Row } from "./run";

export interface Column {
  readonly id: string;
  readonly label: string;
  /** What the axes set, or what came of it. */
  readonly kind: "axis" | "figure";
  /** Returns the value in a row: undefined where the row has none. */
  readonly of: (row: Row) => unknown;
  readonly text: (value: unknown) => string;
}

/** The totals that are known now, the most asked for first. */
const TOTALS = [
  "parameters",
  "multiply_adds",
  "peak_activation_bytes",
  "layers",
  "trainable_parameters",
  "weight_bytes",
  "activation_bytes",
] as const;

/** So many are looked at first; the others say about the same. */
const FIRST_TOTALS = 3;

/** Returns the columns that rows have: the axes first, in their order. */
export function columnsOf(rows: readonly Row[]): Column[] {
  const places = new Set<string>();
  const totals = new Set<string>();
  let isPredicted = false;
  for (const row of rows) {
    for (const place of Object.keys(row.values ?? {})) places.add(place);
    for (const total of Object.keys(row.totals ?? {})) totals.add(total);
    isPredicted ||= row.predicted !== undefined;
  }
  const known: string[] = TOTALS.filter((total) => totals.has(total));
  const others = Array.from(totals).filter((total) => !known.includes(total));
  return [
    ...Array.from(places, axisColumn),
    ...known.slice(0, FIRST_TOTALS).map(totalColumn),
    ...(isPredicted ? [PREDICTED_GAIN] : []),
    ...[...known.slice(FIRST_TOTALS), ...others].map(totalColumn),
  ];
}

/** Returns a place in few words: the member that is varied, and of which level. */
function placeLabel(place: string): string {
  const [, level, member] = /^\/scopes\/(\d+)\/(?:args\/)?(.+)$/.exec(place) ?? [];
  if (member !== undefined) return `${member} (level ${level})`;
  return place.replace(/^\/(params|default_scope)\/|^\//, "");
}

function axisColumn(place: string): Column {
  return {
    id: place,
    label: placeLabel(place),
    kind: "axis",
    of: (row) => row.values?.[place],
    text: (value) => (value === undefined ? "" : spelled(value)),
  };
}

function totalColumn(name: string): Column {
  const format = name.endsWith("bytes") ? bytes : short;
  return {
    id: name,
    label: name.replaceAll("_", " "),
    kind: "figure",
    of: (row) => (row.totals as Record<string, unknown> | null | undefined)?.[name] ?? undefined,
    text: (value) => (typeof value === "number" ? format(value) : ""),
  };
}

const PREDICTED_GAIN: Column = {
  id: "predicted_gain",
  label: "predicted gain",
  kind: "figure",
  of: (row) => row.predicted?.predicted_gain ?? undefined,
  text: (value) => (typeof value === "number" ? significant(value) : ""),
};

/** Returns a value with all its digits. */
export function precise(value: unknown): string {
  return typeof value === "number" && Number.isInteger(value) ? exact(value) : spelled(value);
}

/** Whether a column has numbers alone, wherever it has anything; a row without one has no point. */
export function isNumeric(column: Column, rows: readonly Row[]): boolean {
  let some = false;
  for (const row of rows) {
    const value = column.of(row);
    if (value === undefined) continue;
    if (typeof value !== "number") return false;
    some = true;
  }
  return some;
}

/** Whether a column has more than one value. */
export function varies(column: Column, rows: readonly Row[]): boolean {
  let first: string | undefined;
  for (const row of rows) {
    const value = column.of(row);
    if (value === undefined) continue;
    const text = JSON.stringify(value);
    if (first === undefined) first = text;
    else if (first !== text) return true;
  }
  return false;
}

export interface Order {
  readonly column: string;
  readonly isDescending: boolean;
}

/** Returns the rows in an order; those without the value come last, whichever the direction. */
export function sorted(rows: readonly Row[], columns: readonly Column[], order: Order): Row[] {
  const of = keyOf(order.column, columns);
  const having: { row: Row; key: unknown }[] = [];
  const lacking: Row[] = [];
  for (const row of rows) {
    const key = of(row);
    if (key === undefined || Number.isNaN(key)) lacking.push(row);
    else having.push({ row, key });
  }
  const sign = order.isDescending ? -1 : 1;
  having.sort((a, b) => sign * compare(a.key, b.key));
  return [...having.map((each) => each.row), ...lacking];
}

function keyOf(id: string, columns: readonly Column[]): (row: Row) => unknown {
  if (id === "index") return (row) => row.index;
  if (id === "status") return (row) => row.status;
  return columns.find((column) => column.id === id)?.of ?? (() => undefined);
}

/** Numbers come before text, and text before other JSON, as the service sorts them. */
function compare(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a !== typeof b) return rank(a) - rank(b);
  const [left, right] = [spelled(a), spelled(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

function rank(value: unknown): number {
  return typeof value === "number" ? 0 : typeof value === "string" ? 1 : 2;
}
