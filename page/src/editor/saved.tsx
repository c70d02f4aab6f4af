/** Saved scopes: a level that names one, and the levels of the draft saved under a name. */

import { useState } from "preact/hooks";
import { asProblem, jsonRequest, type Problem, path, send } from "../api/client";
import { refreshSavedScopes, savedScopes } from "../catalogue/catalogue";
import { draft, enabledLevels } from "../spec/draft";
import { ProblemNote } from "../ui/problem";
import { say } from "../ui/say";
import { invalid, type Mistake, Mistakes } from "./mistakes";

type By = "include" | "saved";

const MEANING: Readonly<Record<By, string>> = {
  include: "nests the levels of the saved scope here.",
  saved: "starts anew from the saved scope: it replaces the default scope and all levels outside.",
};

export function SavedPart({
  id,
  saved: { name, by },
  mistakes,
  change,
}: {
  id: string;
  saved: { readonly name: string; readonly by: By };
  mistakes: readonly Mistake[];
  change: (level: unknown, group?: string) => void;
}) {
  const { value, problem } = savedScopes();
  const names = [...new Set((value?.scopes ?? []).map((each) => each.name))];
  const versions = (value?.scopes ?? []).map((each) => `${each.name}@${each.digest.slice(0, 19)}`);
  const mistakesId = `${id}-mistakes-saved`;
  return (
    <div class="part saved">
      <select
        aria-label="How the saved scope is entered"
        value={by}
        onChange={(event) => change({ [event.currentTarget.value]: name })}
      >
        <option value="include">include</option>
        <option value="saved">saved</option>
      </select>
      <div>
        <input
          type="text"
          aria-label="Name of the saved scope"
          list={`${id}-names`}
          value={name}
          spellcheck={false}
          {...invalid(mistakesId, mistakes)}
          onInput={(event) => change({ [by]: event.currentTarget.value }, `${id}-name`)}
        />
        <datalist id={`${id}-names`}>
          {[...names, ...versions].map((each) => (
            <option key={each} value={each} />
          ))}
        </datalist>
        <p class="note">
          <code>{by}</code> {MEANING[by]}
          {value && names.length === 0 && " There is no saved scope yet."}
        </p>
        <Mistakes id={mistakesId} mistakes={mistakes} />
        {problem && <p class="field-mistake">{problem.detail}</p>}
      </div>
    </div>
  );
}

/** Saves the levels that are switched on as a version of a saved scope. */
export function SaveLevels() {
  const [isOpen, setOpen] = useState(false);
  const [name, setName] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [done, setDone] = useState("");
  if (!isOpen) {
    return (
      <button type="button" class="quiet" onClick={() => setOpen(true)}>
        Save these levels as …
      </button>
    );
  }
  const save = async () => {
    setProblem(null);
    setDone("");
    const levels = enabledLevels(draft.peek()).map((each) => each.level);
    try {
      const answer = await send(path`v1/scopes/${name}`, jsonRequest("PUT", { levels }));
      const { digest } = (await answer.json()) as { digest: string };
      const sentence =
        answer.status === 201
          ? `Saved as ${name}@${digest.slice(0, 15)}.`
          : `${name} has this version already: ${digest.slice(0, 15)}.`;
      setDone(sentence);
      say(sentence);
      refreshSavedScopes();
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  return (
    <form
      class="save-levels"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <label>
        Save these levels as{" "}
        <input
          type="text"
          autofocus
          value={name}
          spellcheck={false}
          onInput={(event) => setName(event.currentTarget.value)}
        />
      </label>
      <button type="submit" class="primary">
        Save
      </button>
      <button type="button" class="quiet" onClick={() => setOpen(false)}>
        Close
      </button>
      {done && <p class="note">{done}</p>}
      {problem && <ProblemNote problem={problem} />}
    </form>
  );
}
