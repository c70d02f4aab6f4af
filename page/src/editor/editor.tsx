/** The editor of the spec: its fields, or its JSON. */

import "./editor.css";
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { liveProblem, traceAgain } from "../build/live";
import { draft, enabledLevels, focusedLevel } from "../spec/draft";
import { lazy } from "../ui/lazy";
import { ProblemNote } from "../ui/problem";
import { Said } from "../ui/say";
import { pane } from "../ui/view";
import { Header } from "./header";
import { Levels } from "./levels";
import { Mistakes } from "./mistakes";
import { hasField } from "./pointers";

const Json = lazy(() => import("./json").then((module) => module.Json));

const view = signal<"fields" | "json">("fields");

export function Editor() {
  useEffect(
    () =>
      focusedLevel.subscribe((key) => {
        if (key === null) return;
        view.value = "fields";
        pane.value = "editor";
      }),
    [],
  );
  return (
    <div class="editor">
      <fieldset class="view-switch">
        <legend class="visually-hidden">How the spec is shown</legend>
        <ViewButton id="fields" title="Fields" />
        <ViewButton id="json" title="JSON" />
      </fieldset>
      <Problems />
      {view.value === "fields" ? (
        <>
          <Header />
          <Levels />
        </>
      ) : (
        <Json />
      )}
      <Said />
    </div>
  );
}

function ViewButton({ id, title }: { id: "fields" | "json"; title: string }) {
  return (
    <button
      type="button"
      aria-pressed={view.value === id}
      onClick={() => {
        view.value = id;
      }}
    >
      {title}
    </button>
  );
}

/** The problems that no field shows. */
function Problems() {
  const problem = liveProblem.value;
  if (problem === null) return null;
  const errors = problem.errors ?? [];
  const count = enabledLevels(draft.value).length;
  const others = errors.filter((each) => !hasField(each.pointer, count));
  if (errors.length > others.length && others.length === 0) return null;
  const isUnanswered = problem.status === 0 || problem.status >= 500;
  return (
    <div class="problems">
      <ProblemNote
        problem={{ ...problem, errors: [], detail: others.length > 0 ? "" : problem.detail }}
        {...(isUnanswered && { retry: traceAgain })}
      />
      <Mistakes id="editor-problems" mistakes={others} />
    </div>
  );
}
