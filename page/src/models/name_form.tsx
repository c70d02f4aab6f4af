/** Gives the live build a name, and says how it is to run. */

import { useState } from "preact/hooks";
import { asProblem, type Problem, type Schemas } from "../api/client";
import { liveBuild } from "../build/live";
import { ProblemNote } from "../ui/problem";
import { nameLiveBuild } from "./actions";

export function NameForm() {
  const build = liveBuild.value;
  const [problem, setProblem] = useState<Problem | null>(null);
  const [named, setNamed] = useState<Schemas["NamedModel"] | null>(null);
  const [isBusy, setBusy] = useState(false);
  const submit = async (form: HTMLFormElement) => {
    setBusy(true);
    setProblem(null);
    setNamed(null);
    try {
      const { warnings = [], ...answer } = await nameLiveBuild(
        await readForm(form),
        readFiles(form, "calibration"),
      );
      // Those about the build itself are shown beside the editor.
      const known = liveBuild.peek()?.warnings ?? [];
      setNamed({ ...answer, warnings: warnings.filter((each) => !known.includes(each)) });
    } catch (error) {
      setProblem(asProblem(error));
    }
    setBusy(false);
  };
  return (
    <form
      class="name-form"
      aria-label="Name the live build"
      onSubmit={(event) => {
        event.preventDefault();
        void submit(event.currentTarget);
      }}
    >
      <div class="name-form-main">
        <label>
          Name the live build
          <input name="name" required maxLength={128} autocomplete="off" spellcheck={false} />
        </label>
        <button type="submit" class="primary" disabled={build === null || isBusy}>
          Name it
        </button>
      </div>
      <details>
        <summary>Options</summary>
        <div class="name-form-options">
          <label>
            Engine
            <select name="engine">
              <option value="">the service's</option>
              <option>auto</option>
              <option>tensorflow</option>
              <option>onnxruntime</option>
            </select>
          </label>
          <label>
            Precision
            <select name="precision">
              <option value="">the service's</option>
              <option>float32</option>
              <option>bfloat16</option>
              <option>int8</option>
            </select>
          </label>
          <label title="16 pictures or rows or more, such as the network will see; int8 needs them">
            Calibration
            <input name="calibration" type="file" multiple accept="image/*,.npy" />
          </label>
          <label>
            Labels
            <input name="labels" placeholder="stable, canary" autocomplete="off" />
          </label>
          <label>
            Class names
            <input name="class_names" type="file" accept=".txt,text/plain" />
          </label>
          <label class="name-form-check">
            <input name="pinned" type="checkbox" />
            Keep in memory
          </label>
        </div>
      </details>
      <p class="model-soft">
        This stores the build
        {build && (
          <>
            {" "}
            (<code title={build.id}>{build.id.slice(0, 8)}</code>, {build.architecture})
          </>
        )}{" "}
        and loads it. A name that exists gets a new version.
      </p>
      {problem && <ProblemNote problem={problem} />}
      <div role="status">
        {named && (
          <p>
            {named.name} version {named.version} is build <code>{named.build.slice(0, 8)}</code>.
          </p>
        )}
        {named?.warnings && named.warnings.length > 0 && (
          <ul class="name-form-warnings">
            {named.warnings.map((warning) => (
              <li key={warning}>{warning}</li>
            ))}
          </ul>
        )}
      </div>
    </form>
  );
}

function readFiles(form: HTMLFormElement, name: string): readonly File[] {
  return new FormData(form)
    .getAll(name)
    .filter((each): each is File => each instanceof File && each.size > 0);
}

async function readForm(form: HTMLFormElement) {
  const data = new FormData(form);
  const text = (name: string) => String(data.get(name) ?? "").trim();
  const file = data.get("class_names");
  const labels = text("labels")
    .split(",")
    .map((label) => label.trim())
    .filter(Boolean);
  return {
    name: text("name"),
    pinned: data.get("pinned") !== null,
    engine: text("engine") || null,
    precision: text("precision") || null,
    labels: labels.length > 0 ? labels : null,
    class_names: file instanceof File && file.size > 0 ? await file.text() : null,
  };
}
