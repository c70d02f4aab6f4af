/** The most probable classes, of one build or of two side by side. */

import type { Schemas } from "../api/client";

import { seconds } from "../ui/format";
import { ProblemNote } from "../ui/problem";
import { tab } from "../ui/view";
import { type Answer, type Outcome, type Result, row, run } from "./run";
import { spellWeights } from "./weights";

export function Outcomes({ result }: { result: Result }) {
  const rows = Math.max(...result.outcomes.map((outcome) => outcome.answer?.rows ?? 1));
  const largest = Math.max(
    ...result.outcomes.map(
      (outcome) => outcome.answer?.predictions?.[row.value]?.[0]?.probability ?? 0,
    ),
  );
  return (
    <>
      {rows > 1 && (
        <p class="picture-row">
          <label>
            Row{" "}
            <select
              value={row.value}
              onChange={(event) => {
                row.value = Number(event.currentTarget.value);
              }}
            >
              {Array.from({ length: rows }, (_, index) => (
                <option key={index} value={index}>
                  {index}
                </option>
              ))}
            </select>
          </label>{" "}
          of {rows}
        </p>
      )}
      <div class="picture-outcomes">
        {result.outcomes.map((outcome) => (
          <OutcomeView key={outcome.role} outcome={outcome} largest={largest} />
        ))}
      </div>
      {result.agreement && <Agreement pair={result.agreement} />}
    </>
  );
}

function OutcomeView({
  outcome: { role, build, answer, problem },
  largest,
}: {
  outcome: Outcome;
  largest: number;
}) {
  return (
    <section class="picture-outcome" aria-label={role === "live" ? "Live build" : "Pinned build"}>
      <h2>
        {role === "live" ? "Live" : "Pinned"} · {build.architecture}{" "}
        <code title={build.id}>{build.id.slice(0, 8)}</code>
      </h2>
      {problem && <ProblemNote problem={problem} retry={() => void run()} />}
      {answer && (
        <>
          <p class={build.restore ? "picture-hint" : "picture-weights"}>{spellWeights(build)}</p>
          {answer.predictions ? (
            <Classes classes={answer.predictions[row.value] ?? []} largest={largest} />
          ) : (
            <p>
              This build returns features or a map, not class probabilities: look at its end points
              below.
            </p>
          )}
          <p class="picture-hint">{spellRun(answer)}</p>
          {answer.warnings.length > 0 && (
            <ul class="picture-warnings">
              {answer.warnings.map((warning) => (
                <li key={warning}>{warning}</li>
              ))}
            </ul>
          )}
        </>
      )}
    </section>
  );
}

function Classes({ classes, largest }: { classes: readonly Schemas["Class"][]; largest: number }) {
  const named = classes.some((each) => each.name !== undefined);
  return (
    <>
      <ol class="picture-classes">
        {classes.map(({ class: index, name, probability }) => (
          <li key={index}>
            <span class="picture-class" title={`class ${index}`}>
              {name ?? `class ${index}`}
            </span>
            <span class="picture-bar" aria-hidden="true">
              <span
                style={{ width: `${largest > 0 ? (100 * (probability ?? 0)) / largest : 0}%` }}
              />
            </span>
            <span class="picture-share" title={String(probability)}>
              {probability === null ? "not finite" : `${(100 * probability).toFixed(2)} %`}
            </span>
          </li>
        ))}
      </ol>
      {!named && (
        <p class="picture-hint">
          Classes are numbers until a model that is this build names them: see{" "}
          <button
            type="button"
            class="link"
            onClick={() => {
              tab.value = "models";
            }}
          >
            Models
          </button>
          .
        </p>
      )}
    </>
  );
}

/** Returns how the answer was made: preprocessing, what computed it, and how long that took. */
function spellRun({ preprocessing, engine, precision, seconds: phases }: Answer): string {
  const { load, compute } = phases;
  return [
    preprocessing === null ? "used as it is" : `${preprocessing} preprocessing`,
    [engine, precision].filter(Boolean).join(", "),
    load !== undefined && load > 0 ? `loaded in ${seconds(load)}` : "",
    compute !== undefined ? `computed in ${seconds(compute)}` : "",
  ]
    .filter(Boolean)
    .join(" · ");
}

function Agreement({ pair }: { pair: Schemas["Pair"] }) {
  const { same_top_1: same, largest_difference: largest, mean_kl_divergence: kl } = pair;
  const known = (value: number | null) =>
    value === null ? "–" : String(Number(value.toPrecision(3)));
  return (
    <dl class="picture-agreement" aria-label="Agreement">
      <div>
        <dt>Same class on top</dt>
        <dd>{same === null ? "–" : `${Math.round(100 * same)} % of rows`}</dd>
      </div>
      <div>
        <dt>Largest difference of outputs</dt>
        <dd>{known(largest)}</dd>
      </div>
      <div>
        <dt>KL divergence</dt>
        <dd>{kl === null ? "–" : `${known(kl)} nats`}</dd>
      </div>
    </dl>
  );
}
