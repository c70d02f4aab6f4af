/** The Pareto front of two figures: the rows that no other beats in both. */

import { get, path, type Schemas } from "../api/client";
import type { Column } from "./columns";
import type { Row, Run } from "./run";

export type Direction = "minimize" | "maximize";

export interface Objective {
  readonly column: Column;
  readonly direction: Direction;
}

/**
 * Returns the indices of the traced rows that no other dominates, by the rule of the service.
 *
 * A row dominates another if it is nowhere worse and somewhere better: equal ones stay together.
 */
export function frontOf(rows: readonly Row[], x: Objective, y: Objective): Set<number> {
  const costs = rows.flatMap((row) => {
    const cost = [x, y].map(({ column, direction }) => {
      const figure = column.of(row);
      return typeof figure === "number"
        ? direction === "minimize"
          ? figure
          : -figure
        : Number.NaN;
    });
    const [a, b] = cost as [number, number];
    return row.status !== "traced" || Number.isNaN(a + b) ? [] : [{ index: row.index, a, b }];
  });
  costs.sort((left, right) => left.a - right.a || left.b - right.b);
  const front = new Set<number>();
  let best: { a: number; b: number } | undefined;
  for (const each of costs) {
    if (best !== undefined && each.b >= best.b && !(each.a === best.a && each.b === best.b))
      continue;
    best = each;
    front.add(each.index);
  }
  return front;
}

/** Returns the front of a sweep that the service has stored, as it computes it. */
export async function storedFront(
  run: Run,
  x: Objective,
  y: Objective,
  signal: AbortSignal,
): Promise<Set<number>> {
  const query = new URLSearchParams({
    pareto: [x, y].map(({ column, direction }) => `${column.id}:${direction}`).join(","),
    include_dominated: "false",
    limit: "1000",
  });
  const front = new Set<number>();
  let next: string | null = `${path`v1/sweeps/${run.id}/rows`}?${query}`;
  while (next !== null) {
    const page: Schemas["SweepRows"] = await get<"SweepRows">(next, signal);
    for (const row of page.rows) front.add(row.index);
    next = page.next;
  }
  return front;
}
