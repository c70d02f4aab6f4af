/** The diff of A and B: their totals, their specs and their layers, or the graph of both. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { pinned, type Tried, tried } from "../build/history";
import { short } from "../ui/format";
import { lazy } from "../ui/lazy";
import { Loading } from "../ui/loading";
import { Boundary, ProblemNote } from "../ui/problem";
import { type Compared, compared, diffAgain, diffProblem, isDiffing, startDiffing } from "./diff";
import { DiffLayers } from "./diff_layers";
import { DiffSummary } from "./diff_summary";
import { type Choice, choiceA, choiceB, live, sideA, sideB, swapSides, timeOf } from "./sides";

export function DiffView() {
  useEffect(startDiffing, []);
  const [asGraph, setAsGraph] = useState(false);
  return (
    <div class="diff" aria-busy={isDiffing.value}>
      <div class="diff-sides">
        <SideSelect
          label="A"
          choice={choiceA.value}
          choose={(choice) => (choiceA.value = choice)}
        />
        <button type="button" onClick={swapSides} title="Swap A and B">
          ⇄ Swap
        </button>
        <SideSelect
          label="B"
          choice={choiceB.value}
          choose={(choice) => (choiceB.value = choice)}
        />
        <button type="button" aria-pressed={asGraph} onClick={() => setAsGraph(!asGraph)}>
          Graph
        </button>
      </div>
      {diffProblem.value && <ProblemNote problem={diffProblem.value} retry={diffAgain} />}
      <Differences asGraph={asGraph} />
    </div>
  );
}

function Differences({ asGraph }: { asGraph: boolean }) {
  const [a, b, last] = [sideA.value, sideB.value, compared.value];
  if (a === null || b === null) {
    return (
      <p class="empty">
        {a === null && choiceA.value === "pinned"
          ? "No build is pinned. Pin one in the history, or choose A."
          : "Choose two builds: the list has every build since the page was opened."}
      </p>
    );
  }
  if (a.id === b.id) {
    return (
      <p class="empty">
        A and B are the same build, <code>{a.id.slice(0, 8)}</code>. Edit the spec, and B follows;
        or choose another.
      </p>
    );
  }
  if (diffProblem.value) return null;
  if (last === null) return <Loading what="the diff" />;
  if (asGraph) {
    return (
      <Boundary>
        <DiffGraph />
      </Boundary>
    );
  }
  return <Both compared={last} />;
}

function Both({ compared }: { compared: Compared }) {
  return (
    <div class="diff-both">
      <DiffSummary compared={compared} />
      <DiffLayers diff={compared.diff} />
    </div>
  );
}

const DiffGraph = lazy(async () => {
  const { DiffGraph: Graph } = await import("../graph/diff_graph");
  return function ComparedGraph() {
    const last = compared.value;
    return last && <Graph a={last.a.spec} b={last.b.spec} diff={last.diff} />;
  };
});

function SideSelect({
  label,
  choice,
  choose,
}: {
  label: string;
  choice: Choice;
  choose: (choice: Choice) => void;
}) {
  const all = tried.value;
  // The same elements at each render of the panel: with 500 builds they take a while.
  const options = useMemo(
    () =>
      all.toReversed().map((each) => (
        <option key={each.id} value={each.id}>
          {nameOf(each)}
        </option>
      )),
    [all],
  );
  return (
    <label>
      {label}
      <select value={choice} onChange={(event) => choose(event.currentTarget.value)}>
        <option value="pinned">{followed("pinned", pinned.value)}</option>
        <option value="live">{followed("live", live.value)}</option>
        {options}
      </select>
    </label>
  );
}

function followed(title: string, build: Tried | null): string {
  return build === null ? `${title}: none` : `${title}: ${nameOf(build)}`;
}

function nameOf(build: Tried): string {
  const { id, normalized, totals } = build;
  return `${normalized.architecture}, ${short(totals.parameters)}, ${timeOf(build)} (${id.slice(0, 8)})`;
}
