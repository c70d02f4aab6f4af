/** Where a build's weights come from: each source in words, and each variable in a table. */

import { useEffect, useState } from "preact/hooks";
import { asProblem, get, isAbort, type Problem, path, type Schemas } from "../api/client";
import { counted, exact, shape } from "../ui/format";
import { Loading } from "../ui/loading";
import { ProblemNote } from "../ui/problem";

export function RestorePlan({ id }: { id: string }) {
  const [plan, setPlan] = useState<Schemas["RestorePlan"] | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const load = () => {
    const controller = new AbortController();
    setProblem(null);
    get<"RestorePlan">(path`v1/builds/${id}/restore-plan`, controller.signal).then(
      setPlan,
      (error: unknown) => isAbort(error) || setProblem(asProblem(error)),
    );
    return () => controller.abort();
  };
  useEffect(load, [id]);
  if (problem) return <ProblemNote problem={problem} retry={load} />;
  if (plan === null) return <Loading what="where the weights come from" />;
  return <Plan plan={plan} />;
}

function Plan({ plan }: { plan: Schemas["RestorePlan"] }) {
  const causes = plan.sources.flatMap((each) => each.causes); // each stands at its source
  const warnings = plan.warnings.filter((each) => !causes.some((cause) => each.endsWith(cause)));
  const random = plan.variables.filter((each) => each.from === null).map((each) => each.name);
  return (
    <div class="restore-plan">
      <h3>Where they come from</h3>
      {plan.sources.length === 0 ? (
        <p>All {exact(plan.variables.length)} variables are random, by the spec's seed.</p>
      ) : (
        <p>
          Sources fill {exact(plan.restored_parameters)} of {counted(plan.parameters, "parameter")}{" "}
          ({percent(plan.share)}).
        </p>
      )}
      {warnings.map((each) => (
        <p key={each} class="export-note">
          {each}
        </p>
      ))}
      {plan.sources.map((each, index) => (
        <Source key={index} number={index + 1} plan={each} />
      ))}
      {random.length > 0 && plan.sources.length > 0 && (
        <Names
          title={`${counted(random.length, "variable")} ${random.length === 1 ? "stays" : "stay"} random`}
          names={random}
        />
      )}
    </div>
  );
}

function Source({ number, plan }: { number: number; plan: Schemas["Source"] }) {
  const { source, counts, variables, unused } = plan;
  const filled = counts.matched + counts.renamed + counts.moving_average;
  const unfit = variables.filter((each) => each.status === "shape_mismatch");
  const missing = variables.filter((each) => each.status === "missing");
  return (
    <section aria-label={`Source ${number}`}>
      <h4>
        Source {number}: {source.source} <code>{source.id.slice(0, 12)}</code>
      </h4>
      <p>
        It fills {counted(filled, "variable")}
        {counts.renamed > 0 && `, ${exact(counts.renamed)} of them by another name`}.
      </p>
      {plan.causes.map((each) => (
        <p key={each}>{each}</p>
      ))}
      <Names
        title={`${counted(unfit.length, "variable")} ${unfit.length === 1 ? "has" : "have"} another shape`}
        names={unfit.map(
          (each) => `${each.name}: ${sizes(each.shape)}, there ${sizes(each.shape_in_source)}`,
        )}
      />
      <Names
        title={`${counted(missing.length, "variable")} ${isOrAre(missing)} not in the source`}
        names={missing.map((each) => `${each.name}: ${sizes(each.shape)}`)}
      />
      <Names
        title={`${counted(unused.length, "tensor")} of the source ${isOrAre(unused)} not used`}
        names={unused.map((each) => `${each.name}: ${sizes(each.shape)}`)}
      />
    </section>
  );
}

function isOrAre({ length }: readonly unknown[]): string {
  return length === 1 ? "is" : "are";
}

/** Returns a share in percent, such that only nothing is 0 % and only all is 100 %. */
function percent(share: number): string {
  const rounded = (100 * share).toFixed(1);
  if (rounded === "0.0" && share > 0) return "<0.1 %";
  if (rounded === "100.0" && share < 1) return ">99.9 %";
  return `${rounded} %`;
}

function sizes(each: readonly number[] | null): string {
  return each && each.length > 0 ? shape(each) : "scalar";
}

function Names({ title, names }: { title: string; names: readonly string[] }) {
  if (names.length === 0) return null;
  return (
    <details>
      <summary>{title}</summary>
      <ul class="mono">
        {names.map((each) => (
          <li key={each}>{each}</li>
        ))}
      </ul>
    </details>
  );
}
