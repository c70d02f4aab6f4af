/** What came of the rows of a sweep: how far it is, the plots, and the table. */

import { ServiceLink } from "../access/link";
import { path } from "../api/client";
import { exact } from "../ui/format";
import { Later } from "../ui/later";
import { Boundary, ProblemNote } from "../ui/problem";
import { sweepDocument } from "./document";
import { front } from "./objectives";
import { Parallel } from "./parallel";
import { RowCard } from "./row_card";
import { RowTable } from "./row_table";
import { type Run, rows, run, startRun } from "./run";
import { Scatter } from "./scatter";
import { brushes, shownRows } from "./selection";

// About as high as what comes there.
const PARALLEL_HEIGHT = 800;
const TABLE_HEIGHT = 420;

export function Results() {
  const current = run.value;
  if (current === null) return null;
  return (
    <section class="sweep-results" aria-label="Rows">
      <Progress run={current} />
      {rows.value.length > 0 && (
        <>
          <div class="sweep-plots">
            <Boundary>
              <Scatter />
            </Boundary>
            <Boundary>
              <RowCard />
            </Boundary>
          </div>
          <Later height={PARALLEL_HEIGHT}>
            <Boundary>
              <Parallel />
            </Boundary>
            <Shown />
            <Later height={TABLE_HEIGHT}>
              <Boundary>
                <RowTable front={front.value} />
              </Boundary>
            </Later>
          </Later>
        </>
      )}
      {rows.value.length === 0 && current.state === "done" && (
        <p class="empty">The sweep has no rows.</p>
      )}
    </section>
  );
}

function Progress({ run }: { run: Run }) {
  const done = rows.value.length;
  const again = () => void startRun(run.document);
  const isChanged = JSON.stringify(run.document) !== JSON.stringify(sweepDocument.value);
  const texts = {
    running: run.total > 0 ? `${exact(done)} of ${exact(run.total)} rows` : "Starting …",
    done: `${exact(done)} rows: ${statuses()}`,
    ended: `Ended after ${exact(done)} rows. The service has deleted the sweep; these rows are here only.`,
    stopped: `The service stopped after ${exact(done)} rows: ${run.reason ?? ""}`,
    failed: `${exact(done)} rows came before it failed.`,
  };
  const isStored = run.id !== "" && run.state !== "ended";
  return (
    <div class="sweep-progress">
      {run.state === "running" && (
        <progress aria-label="Rows traced" max={Math.max(1, run.total)} value={done} />
      )}
      <p aria-live="polite">
        {texts[run.state]}
        {isChanged && run.state !== "running" && (
          <span class="hint"> The set-up above has changed since.</span>
        )}
      </p>
      <span class="grow" />
      {run.state === "stopped" && (
        <button type="button" onClick={again}>
          Go on
        </button>
      )}
      {isStored && run.state !== "running" && (
        <ServiceLink
          class="button"
          path={`${path`v1/sweeps/${run.id}/rows`}?format=csv`}
          file={`sweep-${run.id}.csv`}
        >
          Download CSV
        </ServiceLink>
      )}
      {run.problem && <ProblemNote problem={run.problem} retry={again} />}
    </div>
  );
}

function statuses(): string {
  const counts = new Map<string, number>();
  for (const row of rows.value) counts.set(row.status, (counts.get(row.status) ?? 0) + 1);
  return Array.from(counts, ([status, count]) => `${exact(count)} ${status}`).join(", ");
}

/** Says which rows are left out, and shows them again. */
function Shown() {
  const [shown, all] = [shownRows.value.length, rows.value.length];
  return (
    <div class="rows-shown">
      <p aria-live="polite">
        {brushes.value.size > 0
          ? `${exact(shown)} of ${exact(all)} rows are within the bounds.`
          : `All ${exact(all)} rows.`}
      </p>
      <button
        type="button"
        disabled={brushes.value.size === 0}
        onClick={() => {
          brushes.value = new Map();
        }}
      >
        Show all rows
      </button>
    </div>
  );
}
