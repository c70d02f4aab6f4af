/** The layers of the live build, and who set their arguments. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { isCurrent, liveBuild, liveProblem, reportProblem, traceAgain, want } from "../build/live";
import { markedLayers } from "../build/selection";
import { callsByLayer } from "../provenance/setters";
import { Loading } from "../ui/loading";
import { ProblemNote } from "../ui/problem";
import { columns, FACTS } from "./columns";
import { Legend } from "./legend";
import { commonScope, filterLayers, type Sort, sortLayers } from "./rows";
import { LayerTable } from "./table";
import { Toolbar } from "./toolbar";

export function Layers() {
  useEffect(() => want("explanation"), []);
  const [filter, setFilter] = useState("");
  const [sort, setSort] = useState<Sort>(null);
  const [isMarkedOnly, setMarkedOnly] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => focusOnSlash(field), []);

  const layers = liveBuild.value?.layers;
  const marked = markedLayers.value;
  const only = isMarkedOnly && marked.size > 0 ? marked : null;
  const shownColumns = columns.value;
  const calls = callsByLayer.value;
  // Only a sort by an argument depends on the explanation.
  const sortCalls = sort?.column.startsWith("argument:") ? calls : NO_CALLS;
  const rows = useMemo(
    () => sortLayers(filterLayers(layers ?? [], filter, only), sort, shownColumns, sortCalls),
    [layers, filter, only, sort, shownColumns, sortCalls],
  );
  const root = useMemo(() => commonScope((layers ?? []).map((layer) => layer.name)), [layers]);
  const largest = useMemo(() => {
    const all = layers ?? [];
    return new Map(
      FACTS.map(({ id, sum }) => [
        id,
        sum ? all.reduce((max, each) => Math.max(max, sum(each)), 0) : 0,
      ]),
    );
  }, [layers]);

  if (layers === undefined) {
    const problem = liveProblem.value;
    if (problem === null) return <Loading what="the layers" />;
    // A mistake in the spec stays one, however often it is sent.
    const canPass = problem.status === 0 || problem.status >= 500;
    return <ProblemNote problem={problem} {...(canPass && { retry: traceAgain })} />;
  }
  const problem = reportProblem("explanation");
  return (
    <div class="layers">
      <Toolbar
        field={field}
        filter={filter}
        setFilter={setFilter}
        isMarkedOnly={only !== null}
        setMarkedOnly={setMarkedOnly}
        shown={rows.length}
        all={layers.length}
      />
      {problem && !isCurrent("explanation") && <ProblemNote problem={problem} retry={traceAgain} />}
      <LayerTable
        rows={rows}
        root={root}
        columns={shownColumns}
        largest={largest}
        sort={sort}
        sortBy={setSort}
      />
      {rows.length === 0 && (
        <p class="empty">
          No layer fits <q>{filter}</q>.{" "}
          <button type="button" onClick={() => setFilter("")}>
            Show all
          </button>
        </p>
      )}
      <Legend />
    </div>
  );
}

const NO_CALLS: typeof callsByLayer.value = new Map();

/** Lets `/` lead to the filter, unless a field takes it as text. */
function focusOnSlash(field: { readonly current: HTMLInputElement | null }): () => void {
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (target instanceof Element && target.closest("input, textarea, select, [contenteditable]")) {
      return;
    }
    event.preventDefault();
    field.current?.focus();
    field.current?.select();
  };
  document.addEventListener("keydown", onKeyDown);
  return () => document.removeEventListener("keydown", onKeyDown);
}
