/** Chooses the picture, and shows it; starts a run. */

import { useState } from "preact/hooks";
import { liveBuild, liveProblem } from "../build/live";
import { bytes } from "../ui/format";
import { ProblemNote } from "../ui/problem";
import {
  choose,
  chooseExample,
  EXAMPLES,
  type Input,
  input,
  inputProblem,
  needsArray,
} from "./input";
import { besidePinned, canCompare, follows, progress, run } from "./run";

export function Chooser() {
  const given = input.value;
  const build = liveBuild.value;
  const need = build && needsArray(build.input_shape);
  return (
    <div class="picture-chooser">
      <div class="picture-preview">
        {given ? (
          <Preview key={given.url} given={given} />
        ) : (
          <p>Drop a picture anywhere here, paste one, choose a file, or take an example.</p>
        )}
      </div>
      {inputProblem.value && <ProblemNote problem={inputProblem.value} />}
      {need && <p class="picture-need">{need}</p>}
      <div class="picture-sources">
        <label class="button">
          Choose a file
          <input
            type="file"
            class="visually-hidden"
            accept="image/*,.npy"
            onChange={(event) => {
              const file = event.currentTarget.files?.[0];
              if (file) void choose(file, file.name);
              event.currentTarget.value = "";
            }}
          />
        </label>
        {EXAMPLES.map((example) => (
          <button
            key={example.name}
            type="button"
            class="picture-example"
            title={`Example: ${example.name}`}
            onClick={() => void chooseExample(example)}
          >
            <img src={example.url} alt={`Example: ${example.name}`} />
          </button>
        ))}
      </div>
      <div class="picture-options">
        <label>
          <input
            type="checkbox"
            checked={besidePinned.value}
            disabled={!canCompare.value && !besidePinned.value}
            onChange={(event) => {
              besidePinned.value = event.currentTarget.checked;
              if (given) void run();
            }}
          />
          Beside the pinned build
        </label>
        {!canCompare.value && (
          <p class="picture-hint">The live build is the pinned one: edit it to compare.</p>
        )}
        <label>
          <input
            type="checkbox"
            checked={follows.value}
            onChange={(event) => {
              follows.value = event.currentTarget.checked;
            }}
          />
          Follow edits
        </label>
      </div>
      <button
        type="button"
        class="primary"
        disabled={given === null || build === null || progress.value !== null}
        onClick={() => void run()}
      >
        Run
      </button>
      <p class="picture-hint">
        A run stores the build: the service predicts with stored builds only.
        {liveProblem.value && " The spec has a problem, so the last build that worked is run."}
      </p>
    </div>
  );
}

function Preview({ given }: { given: Input }) {
  const [isShown, setShown] = useState(given.array === null);
  return (
    <figure>
      {isShown ? (
        <img src={given.url} alt="What is tried" onError={() => setShown(false)} />
      ) : (
        <p class="picture-unseen">
          {given.array
            ? `An array of ${given.array.shape.join("×")}, type ${given.array.type}: it is used as it is.`
            : "The browser cannot show this file."}
        </p>
      )}
      <figcaption>
        {given.name} · {bytes(given.file.size)}
      </figcaption>
    </figure>
  );
}
