/** The inspector: for the selected layer, who set each argument, and what that beat. */

import { Fragment } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { isCurrent, liveBuild, report, reportProblem, traceAgain, want } from "../build/live";
import { selectedLayer } from "../build/selection";
import { bytes, exact, shape, short } from "../ui/format";
import { Loading } from "../ui/loading";
import { ProblemNote } from "../ui/problem";
import { CallView } from "./call";
import { blocksAround } from "./fate";
import { stopInspecting } from "./inspect";
import "./provenance.css";
import { type Call, callsByLayer } from "./setters";

export function Inspector() {
  useEffect(() => want("explanation"), []);
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => title.current?.focus({ preventScroll: true }), []);
  const name = selectedLayer.value;
  return (
    <aside
      class="inspector"
      aria-label="Inspector"
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        stopInspecting();
      }}
    >
      <header class="inspector-head">
        <h2 tabIndex={-1} ref={title}>
          {name === null ? "No layer is selected" : <Breakable name={name} />}
        </h2>
        <button
          type="button"
          class="quiet"
          aria-label="Close the inspector"
          title="Close (Esc)"
          onClick={stopInspecting}
        >
          ✕
        </button>
      </header>
      {name !== null && <LayerView key={name} name={name} />}
    </aside>
  );
}

function LayerView({ name }: { name: string }) {
  const layer = liveBuild.value?.layers.find((each) => each.name === name);
  const problem = reportProblem("explanation");
  const calls = callsByLayer.value;
  const own = calls.get(name) ?? [];
  const around = blocksAround(name).flatMap((block) => calls.get(block) ?? []);
  if (layer === undefined && liveBuild.value !== null) {
    return <p class="inspector-note">The build has no layer of this name.</p>;
  }
  return (
    <div class="inspector-body">
      {layer && (
        <dl class="inspector-facts">
          <Fact name="Output" text={shape(layer.output_shape)} />
          <Fact name="Parameters" text={short(layer.parameters)} full={exact(layer.parameters)} />
          <Fact
            name="Multiply-adds"
            text={short(layer.multiply_adds)}
            full={exact(layer.multiply_adds)}
          />
          <Fact
            name="Activations"
            text={bytes(layer.activation_bytes)}
            full={`${exact(layer.activation_bytes)} bytes`}
          />
        </dl>
      )}
      {problem && !isCurrent("explanation") && <ProblemNote problem={problem} retry={traceAgain} />}
      {report("explanation") === undefined && !problem && <Loading what="who set the arguments" />}
      {report("explanation") && own.length === 0 && (
        <p class="inspector-note">
          This layer has no arguments: no scope reaches {layer ? `a ${layer.op}` : "it"}.
        </p>
      )}
      <Calls calls={own} />
      {around.length > 0 && (
        <>
          <h3 class="inspector-around">Called inside</h3>
          <Calls calls={around} />
        </>
      )}
    </div>
  );
}

function Calls({ calls }: { calls: readonly Call[] }) {
  return (
    <>
      {calls.map((call, index) => (
        <CallView key={`${index} ${call.layer} ${call.op}`} call={call} />
      ))}
    </>
  );
}

function Fact({ name, text, full = text }: { name: string; text: string; full?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd title={full}>{text}</dd>
    </div>
  );
}

/** A name that may break after each scope. */
function Breakable({ name }: { name: string }) {
  return (
    <>
      {name.split(/(?<=\/)/).map((part, index) => (
        <Fragment key={`${index} ${part}`}>
          {index > 0 && <wbr />}
          {part}
        </Fragment>
      ))}
    </>
  );
}
