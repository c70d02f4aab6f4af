/** Take the build away: as a link, as code, with its weights. */

import { useEffect } from "preact/hooks";
import { liveBuild, liveProblem, liveSpec, reportProblem, want } from "../build/live";
import { Loading } from "../ui/loading";
import { ProblemNote } from "../ui/problem";
import { Codes } from "./codes";
import { Share } from "./share";
import { Weights } from "./weights";
import "./export.css";

export function Export() {
  useEffect(() => want("code"), []);
  const build = liveBuild.value;
  const spec = liveSpec.value;
  const problem = reportProblem("code");
  if (build === null || spec === null) {
    return liveProblem.value ? (
      <ProblemNote problem={liveProblem.value} />
    ) : (
      <Loading what="the build" />
    );
  }
  return (
    <div class="export">
      {liveProblem.value && (
        <p class="export-note">
          The spec has a problem now. This is the last build without one, <code>{build.id}</code>.
        </p>
      )}
      <Share spec={spec} build={build} />
      {problem && <ProblemNote problem={problem} />}
      <Codes spec={spec} build={build} />
      <Weights spec={spec} build={build} />
      <section aria-labelledby="export-pictures">
        <h2 id="export-pictures">Pictures</h2>
        <p>
          The graph and each plot are saved as SVG or PNG where they are shown: in the tabs Graph,
          Compare, Sweep and Probe.
        </p>
      </section>
    </div>
  );
}
