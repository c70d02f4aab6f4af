/** The totals of the live build, with the difference to the pinned one. */

import { pin, pinned, tried } from "../build/history";
import { isTracing, type LiveBuild, liveBuild, liveProblem } from "../build/live";
import { bytes, exact, shape, short } from "../ui/format";
import { Figure } from "./figure";
import { sentence } from "./sentence";
import "./totals.css";
import { Warnings } from "./warnings";

export function Totals() {
  const build = liveBuild.value;
  const problem = liveProblem.value;
  return (
    <section class={`totals-bar ${problem ? "is-stale" : ""}`} aria-label="Totals">
      <Figures build={build} />
      <div class="totals-actions">
        <Warnings />
        <PinButton build={build} />
      </div>
      <Status />
      <p class="visually-hidden" aria-live="polite">
        {problem
          ? `${problem.title}. ${build ? "The last good build is shown." : ""}`
          : build && sentence(build)}
      </p>
    </section>
  );
}

function Figures({ build }: { build: LiveBuild | null }) {
  const totals = build?.totals;
  // A build has no difference to itself: its row of differences stays empty.
  const base = pinned.value?.id === build?.id ? null : pinned.value;
  const from = base?.totals;
  const outputShape = build && shape(build.output_shape);
  const baseShape = base && shape(base.outputShape);
  const trainable = totals ? `, ${exact(totals.trainable_parameters)} of them trainable` : "";
  return (
    <dl class="totals">
      <Figure name="Layers" value={totals?.layers} base={from?.layers} format={exact} />
      <Figure
        name="Parameters"
        value={totals?.parameters}
        base={from?.parameters}
        format={short}
        more={trainable}
      />
      <Figure
        name="Multiply-adds"
        value={totals?.multiply_adds}
        base={from?.multiply_adds}
        format={short}
        more=", for one example"
      />
      <Figure
        name="Weights"
        value={totals?.weight_bytes}
        base={from?.weight_bytes}
        format={bytes}
        more=" bytes as float32"
      />
      <Figure
        name="Peak activations"
        value={totals?.peak_activation_bytes}
        base={from?.peak_activation_bytes}
        format={bytes}
        more=" bytes at once, for one example in float32"
      />
      <div class="figure figure-shape">
        <dt>Output</dt>
        <dd>
          <span class="figure-value" title={outputShape ?? ""}>
            {outputShape ?? "–"}
          </span>
          <span class="figure-change" title={baseShape ? `${baseShape} in the pinned build` : ""}>
            {baseShape && outputShape && (baseShape === outputShape ? "same" : `was ${baseShape}`)}
          </span>
        </dd>
      </div>
    </dl>
  );
}

function PinButton({ build }: { build: LiveBuild | null }) {
  const isPinned = build !== null && pinned.value?.id === build.id;
  // A build becomes one that can be pinned as soon as the history has it.
  const known = tried.value.some((each) => each.id === build?.id);
  return (
    <button
      type="button"
      aria-pressed={isPinned}
      disabled={!known}
      title={
        isPinned
          ? "Edits show their difference to this build. Press to compare with none"
          : "Show the difference of later edits to this build"
      }
      onClick={() => pin(isPinned || build === null ? null : build.id)}
    >
      {isPinned ? "Pinned" : "Pin this build"}
    </button>
  );
}

/** One line that is always there: a problem of the draft, or what the build is compared with. */
function Status() {
  const problem = liveProblem.value;
  const base = pinned.value;
  const isLive = base !== null && base.id === liveBuild.value?.id;
  return (
    <p class={`totals-status ${problem ? "is-problem" : ""}`}>
      <span class="tracing" data-tracing={isTracing.value} aria-hidden="true" />
      {problem ? (
        <span title={problem.detail}>
          <strong>{problem.title}</strong>
          {liveBuild.value && " · the last good build is shown"}
        </span>
      ) : base === null ? (
        <span>No build is pinned: pin one to see what edits change</span>
      ) : isLive ? (
        <span>This build is pinned: edits show their difference to it</span>
      ) : (
        <span title={`Build ${base.id}`}>
          Compared with the pinned {String(base.spec.architecture)} of{" "}
          {base.at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}
        </span>
      )}
    </p>
  );
}
