/** Where a build's weights come from: each source in words, and each variable in a table. */

import { useEffect, useState } from "preact/hooks";
import { asProblem, get, isAbort, type Problem, path, type Schemas } from "../api/client";
import { exact, shape } from "../ui/format";
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
  const random = plan.variables.filter((each) => each.from === null).map((each) => each.name);
  return (
    <div class="restore-plan">
      <h3>Where they come from</h3>
      {plan.sources.length === 0 ? (
        <p>All {exact(plan.variables.length)} variables are random, by the spec's seed.</p>
      ) : (
        <p>
          Sources fill {exact(plan.restored_parameters)} of {exact(plan.parameters)} parameters (
          {(100 * plan.share).toFixed(1)} %).
        </p>
      )}
      {plan.warnings.map((each) => (
        <p key={each} class="export-note">
          {each}
        </p>
      ))}
      {plan.sources.map((each, index) => (
        <Source key={index} number={index} plan={each} />
      ))}
      {random.length > 0 && plan.sources.length > 0 && (
        <Names title={`${exact(random.length)} variables stay random`} names={random} />
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
        It fills {exact(filled)} variables, {exact(counts.renamed)} of them by another name.
      </p>
      {plan.causes.map((each) => (
        <p key={each}>{each}</p>
      ))}
      <Names
        title={`${exact(unfit.length)} have another shape`}
        names={unfit.map(
          (each) => `${each.name}: ${sizes(each.shape)}, there ${sizes(each.shape_in_source)}`,
        )}
      />
      <Names
        title={`${exact(missing.length)} are not in the source`}
        names={missing.map((each) => `${each.name}: ${sizes(each.shape)}`)}
      />
      <Names
        title={`${exact(unused.length)} tensors of the source are not used`}
        names={unused.map((each) => `${each.name}: ${sizes(each.shape)}`)}
      />
    </section>
  );
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
