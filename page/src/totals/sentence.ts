/** The totals in one sentence, for those who hear the page. */

import type { LiveBuild } from "../build/live";
import { counted, short } from "../ui/format";

export function sentence({ architecture, totals, warnings }: LiveBuild): string {
  const { layers, parameters, multiply_adds } = totals;
  return (
    `${architecture}: ${counted(layers, "layer")}, ${short(parameters)} parameters, ` +
    `${short(multiply_adds)} multiply-adds, ${counted(warnings.length, "warning")}.`
  );
}
