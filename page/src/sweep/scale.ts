/** Where a value stands on an axis of the parallel coordinates: a share of its length from below. */

import { type Column, isNumeric } from "./columns";
import type { Row } from "./run";

export interface Scale {
  readonly isNumeric: boolean;
  /** Whether all numbers are above 0, so that they have logarithms. */
  readonly canBeLog: boolean;
  readonly isLog: boolean;
  readonly ticks: readonly { readonly share: number; readonly text: string }[];
  /** Returns the share in [0, 1]; undefined for what has no place on the axis. */
  readonly share: (value: unknown) => number | undefined;
}

const MAX_TICKS = 6;
const MAX_NAMES = 40;

export function scaleOf(column: Column, rows: readonly Row[], log: boolean): Scale {
  return isNumeric(column, rows) ? numbers(column, rows, log) : names(column, rows);
}

/** Whether an axis begins as logarithmic: its numbers are above 0, and range over 1 to 100 at least. */
export function wantsLog(column: Column, rows: readonly Row[]): boolean {
  const { low, high } = rangeOf(column, rows);
  return low > 0 && high / low >= 100;
}

function rangeOf(column: Column, rows: readonly Row[]): { low: number; high: number } {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const row of rows) {
    const value = column.of(row);
    if (typeof value !== "number" || !Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return { low, high };
}

function numbers(column: Column, rows: readonly Row[], log: boolean): Scale {
  const { low, high } = rangeOf(column, rows);
  const canBeLog = low > 0 && Number.isFinite(low);
  const isLog = log && canBeLog;
  const place = (value: number) => (isLog ? Math.log(value) : value);
  const [bottom, top] = [place(low), place(high)];
  const share = (value: unknown) => {
    if (typeof value !== "number" || !Number.isFinite(value)) return undefined;
    return top > bottom ? (place(value) - bottom) / (top - bottom) : 0.5;
  };
  const distinct = new Set<unknown>();
  for (const row of rows) {
    if (share(column.of(row)) !== undefined) distinct.add(column.of(row));
    if (distinct.size > MAX_TICKS) break;
  }
  const all =
    distinct.size <= MAX_TICKS
      ? Array.from(distinct as Set<number>)
      : Array.from({ length: 5 }, (_, index) => {
          const between = bottom + ((top - bottom) * index) / 4;
          return isLog ? Math.exp(between) : between;
        });
  const ticks = all.map((value) => ({
    share: share(value) ?? 0,
    text: column.text(rounded(value)),
  }));
  return { isNumeric: true, canBeLog, isLog, ticks, share };
}

/** Hides what arithmetic adds to a number between others. */
function rounded(value: number): number {
  return Number(value.toPrecision(6));
}

function names(column: Column, rows: readonly Row[]): Scale {
  const order = new Map<string, string>();
  for (const row of rows) {
    const value = column.of(row);
    if (value !== undefined) order.set(JSON.stringify(value), column.text(value));
  }
  const places = new Map(Array.from(order.keys(), (key, index) => [key, index]));
  const last = Math.max(1, order.size - 1);
  const shareAt = (index: number) => (order.size > 1 ? 1 - index / last : 0.5);
  const texts = Array.from(order.values());
  const every = Math.ceil(texts.length / MAX_NAMES);
  return {
    isNumeric: false,
    canBeLog: false,
    isLog: false,
    ticks: texts
      .map((text, index) => ({ share: shareAt(index), text }))
      .filter((_, index) => index % every === 0),
    share: (value) => {
      const index = places.get(JSON.stringify(value));
      return index === undefined ? undefined : shareAt(index);
    },
  };
}
