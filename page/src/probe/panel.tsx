/** Probes: does the signal live on its way through the layers, as predicted and as measured? */

import { useEffect } from "preact/hooks";
import { liveBuild, liveSpec } from "../build/live";
import { Loading } from "../ui/loading";
import { Boundary, ProblemNote } from "../ui/problem";
import { Controls } from "./controls";
import { CurvePlot } from "./curve_plot";
import { curves, otherBuild } from "./curves";
import { LayerTable } from "./layer_table";
import { predict, predictionProblem } from "./signals";
import { LayerNumbers, Verdicts } from "./words";
import "./probe.css";

export function Probe() {
  const build = liveBuild.value;
  const spec = liveSpec.value;
  const other = otherBuild.value;
  const ask = () => {
    const controller = new AbortController();
    if (build && spec) void predict(build.id, spec, controller.signal);
    if (other) void predict(other.id, other.spec, controller.signal);
    return () => controller.abort();
  };
  useEffect(ask, [build, other]);
  if (build === null || spec === null) return <Loading what="the build" />;
  return (
    <div class="probe">
      <Controls build={build.id} spec={spec} />
      {predictionProblem.value && (
        <ProblemNote problem={predictionProblem.value} retry={() => void ask()} />
      )}
      <Verdicts build={build.id} />
      <Boundary>
        <CurvePlot />
      </Boundary>
      <LayerNumbers />
      {curves.value.length === 0 && (
        <p class="empty">No curve has this figure yet: it is only measured. Measure the signal.</p>
      )}
      <Boundary>
        <LayerTable />
      </Boundary>
    </div>
  );
}
