/** The worker, its device, and the memory of its networks. */

import { bytes, exact } from "../ui/format";
import { Loading } from "../ui/loading";
import { ProblemNote } from "../ui/problem";
import { health, memory, memoryLimit, refreshAll } from "./state";

const STATES = {
  starting: "starting: it imports TensorFlow",
  ready: "ready",
  restarting: "restarting",
  stopped: "stopped",
};

export function Service() {
  return (
    <section class="models-service" aria-label="Worker and memory">
      <Worker />
      <Memory />
    </section>
  );
}

function Worker() {
  if (health.problem.value) {
    return <ProblemNote problem={health.problem.value} retry={() => void refreshAll()} />;
  }
  const all = health.value.value;
  if (all === null) return <Loading what="the worker's state" />;
  const { state, device, restarts, in_flight: computing, queued, reason } = all.worker;
  return (
    <dl class="models-facts" aria-live="polite">
      <div>
        <dt>Worker</dt>
        <dd>
          <span class={`models-state is-${state}`}>{STATES[state]}</span>
          {reason && <p class="models-reason">{reason}</p>}
        </dd>
      </div>
      <Fact name="Device" value={device ?? "–"} />
      <Fact name="Restarts" value={exact(restarts)} />
      <Fact name="Computing" value={exact(computing)} />
      <Fact name="Waiting" value={exact(queued)} />
    </dl>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Memory() {
  if (memory.problem.value) {
    return <ProblemNote problem={memory.problem.value} retry={() => void refreshAll()} />;
  }
  const used = memory.value.value;
  if (used === null) return null;
  const limit = memoryLimit.value.value;
  const size = used.bytes ?? 0;
  return (
    <div class="models-memory">
      <p title={`${exact(size)} bytes`}>
        <span>
          In memory: {exact(used.models ?? 0)} {used.models === 1 ? "network" : "networks"},{" "}
          {bytes(size)}
          {limit && ` of ${bytes(limit.value)}`}
        </span>
        {limit && <code title={limit.counts ?? ""}>{limit.setting}</code>}
      </p>
      {limit && (
        <div class="models-bar" aria-hidden="true">
          <span style={{ width: `${Math.min(100, (100 * size) / limit.value)}%` }} />
        </div>
      )}
    </div>
  );
}
