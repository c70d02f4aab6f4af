/** The totals of the live build. */

import { liveBuild } from "../build/live";
import { exact, short } from "../ui/format";

export function Totals() {
  const build = liveBuild.value;
  if (build === null) return null;
  return (
    <p class="totals" aria-live="polite" title={exact(build.totals.parameters)}>
      {short(build.totals.parameters)} parameters
    </p>
  );
}
