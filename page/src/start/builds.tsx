/** Opens a stored build by its id, or what a link holds; the latest stored builds are listed. */

import { useEffect, useState } from "preact/hooks";
import { asProblem, get, isAbort, type Problem, ProblemError, type Schemas } from "../api/client";
import { exact, short } from "../ui/format";
import { Loading } from "../ui/loading";
import { ProblemNote } from "../ui/problem";
import { openBuild, openLink } from "./address";
import { linkIn } from "./pasted";
import { closeStart } from "./start";

export function Builds() {
  const [error, setError] = useState<unknown>(null);
  const opening = (opened: Promise<void>) => opened.then(closeStart, setError);
  return (
    <div class="start-builds">
      <Paste open={(text) => void opening(openPasted(text))} error={error} />
      <h3>Latest builds</h3>
      <Latest open={(id) => void opening(openBuild(id))} />
    </div>
  );
}

async function openPasted(text: string): Promise<void> {
  await openLink(linkIn(text));
}

function Paste({ open, error }: { open: (text: string) => void; error: unknown }) {
  const [text, setText] = useState("");
  return (
    <form
      class="start-paste"
      onSubmit={(event) => {
        event.preventDefault();
        open(text);
      }}
    >
      <label for="start-paste">Id of a build, or a link to this page</label>
      <div>
        <input
          id="start-paste"
          type="text"
          value={text}
          spellcheck={false}
          autocomplete="off"
          placeholder="793d224b7fade4e14c483e5c7a88445c"
          aria-invalid={error !== null}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button type="submit" class="primary">
          Open
        </button>
      </div>
      {error instanceof ProblemError && <ProblemNote problem={error.problem} />}
      {error instanceof Error && !(error instanceof ProblemError) && (
        <p class="field-mistake" role="alert">
          {error.message}
        </p>
      )}
    </form>
  );
}

function Latest({ open }: { open: (id: string) => void }) {
  const [builds, setBuilds] = useState<readonly Schemas["BuildItem"][] | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    const controller = new AbortController();
    setProblem(null);
    get<"Builds">("v1/builds?limit=20", controller.signal).then(
      (answer) => setBuilds(answer.builds),
      (error: unknown) => {
        if (!isAbort(error)) setProblem(asProblem(error));
      },
    );
    return () => controller.abort();
  }, [attempt]);
  if (problem) return <ProblemNote problem={problem} retry={() => setAttempt(attempt + 1)} />;
  if (builds === null) return <Loading what="the stored builds" />;
  if (builds.length === 0) {
    return (
      <p class="empty">
        No build is stored here yet. Edits store nothing; sharing and predicting do.
      </p>
    );
  }
  return (
    <div class="start-table">
      <table>
        <thead>
          <tr>
            <th scope="col">Build</th>
            <th scope="col">Architecture</th>
            <th scope="col" class="number">
              Parameters
            </th>
            <th scope="col" class="number">
              Multiply-adds
            </th>
            <th scope="col" class="wide">
              Created
            </th>
          </tr>
        </thead>
        <tbody>
          {builds.map((build) => (
            <tr key={build.id}>
              <th scope="row">
                <button type="button" class="mono" title={build.id} onClick={() => open(build.id)}>
                  {build.id.slice(0, 8)}
                </button>
              </th>
              <td>{build.architecture}</td>
              <td class="number" title={exact(build.totals.parameters)}>
                {short(build.totals.parameters)}
              </td>
              <td class="number" title={exact(build.totals.multiply_adds)}>
                {short(build.totals.multiply_adds)}
              </td>
              <td class="wide">{new Date(build.created).toLocaleString()}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
