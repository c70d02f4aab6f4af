/** The lines of the parallel coordinates: where they go, which one is near. */

import type { Row } from "./run";
import type { Axis } from "./selection";

/** Where an axis stands, and how far apart they are, in pixels. */
export interface Frame {
  readonly left: number;
  readonly top: number;
  readonly length: number;
  readonly spacing: number;
}

/** The shares of each axis at which the lines of rows pass; NaN where a row has no value. */
export type Shares = ReadonlyMap<Row, Float32Array>;

export function sharesOf(rows: readonly Row[], axes: readonly Axis[]): Shares {
  return new Map(
    rows.map((row) => [
      row,
      Float32Array.from(axes, ({ column, scale }) => scale.share(column.of(row)) ?? Number.NaN),
    ]),
  );
}

/** Returns x and y of each bend in turn; a y is NaN where a line is interrupted, or ends. */
export function bendsOf(
  rows: readonly Row[],
  shares: Shares,
  frame: Frame,
): Float32Array<ArrayBuffer> {
  const bends: number[] = [];
  for (const row of rows) {
    shares.get(row)?.forEach((share, index) => {
      bends.push(frame.left + index * frame.spacing, frame.top + (1 - share) * frame.length);
    });
    bends.push(0, Number.NaN);
  }
  return Float32Array.from(bends);
}

/** Returns the lines of rows as the `d` of one path. */
export function pathOf(rows: readonly Row[], shares: Shares, frame: Frame): string {
  const bends = bendsOf(rows, shares, frame);
  let path = "";
  let isPenDown = false;
  for (let at = 0; at < bends.length; at += 2) {
    const [x, y] = [bends[at] as number, bends[at + 1] as number];
    const isThere = !Number.isNaN(y);
    if (isThere) path += `${isPenDown ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`;
    isPenDown = isThere;
  }
  return path;
}

const MAX_PATHS = 60;

/** Splits rows, so that where the lines of many lie over each other it is darker. */
export function inParts(rows: readonly Row[]): (readonly Row[])[] {
  const size = Math.max(1, Math.ceil(rows.length / MAX_PATHS));
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, index) =>
    rows.slice(index * size, (index + 1) * size),
  );
}

const REACH = 12;

/** Returns the index of the row whose line passes nearest to a place, if one is in reach. */
export function nearestRow(
  rows: readonly Row[],
  shares: Shares,
  { left, top, length, spacing }: Frame,
  x: number,
  y: number,
): number | null {
  let best: number | null = null;
  let least = REACH;
  for (const row of rows) {
    const passes = shares.get(row);
    if (passes === undefined || passes.length < 2) continue;
    const position = Math.min(Math.max((x - left) / spacing, 0), passes.length - 1);
    const from = Math.min(Math.floor(position), passes.length - 2);
    const [a, b] = [passes[from] as number, passes[from + 1] as number];
    const distance = Math.abs(top + (1 - a - (b - a) * (position - from)) * length - y);
    // Not so for NaN.
    if (distance < least) {
      least = distance;
      best = row.index;
    }
  }
  return best;
}
