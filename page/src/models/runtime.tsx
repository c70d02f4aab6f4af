/** What runs a network, and how fast it was. */

import type { Schemas } from "../api/client";
import { exact, seconds } from "../ui/format";
import type { Statistics } from "./state";

/** `facts` are known while the network is in memory; `options` are what its name asks for. */
export function Runtime({
  facts,
  options,
}: {
  facts: Readonly<Record<string, string>> | undefined;
  options: Schemas["RunOptions"] | null;
}) {
  const asked = [options?.engine, options?.precision].filter(Boolean).join(", ");
  if (facts?.engine === undefined) return <span class="model-soft">{asked || "–"}</span>;
  const difference = facts.measured_difference;
  const { measured_gain: gain, measured_agreement: agreement } = facts;
  return (
    <>
      {facts.engine}, {facts.precision}
      {difference !== undefined && (
        <div
          class="model-soft"
          title="Between the outputs of two engines or precisions, in units of the largest value"
        >
          differs by {Number(difference).toPrecision(2)}
        </div>
      )}
      {gain !== undefined && (
        <div
          class="model-soft"
          title="Against float32, on the rows of the calibration that were held out"
        >
          {gain} times as fast
          {agreement !== undefined && <>, {Math.round(100 * Number(agreement))}% agree</>}
        </div>
      )}
    </>
  );
}

export function Speed({ stats }: { stats: Statistics | undefined }) {
  const count = stats?.inference_stats.success.count ?? 0;
  if (stats === undefined || count === 0) return <span class="model-soft">–</span>;
  const { compute_infer: compute, queue } = stats.inference_stats;
  const mean = (phase: Schemas["V2Duration"]) => seconds(phase.ns / Math.max(1, phase.count) / 1e9);
  return (
    <>
      {mean(compute)}
      <div class="model-soft" title="Means since the service started">
        {exact(stats.inference_count)} {stats.inference_count === 1 ? "row" : "rows"}, waited{" "}
        {mean(queue)}
      </div>
    </>
  );
}
