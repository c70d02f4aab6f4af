/** The build as JSON, as commands, and as code. */

import { useState } from "preact/hooks";
import { type LiveBuild, report } from "../build/live";
import type { Spec } from "../spec/draft";
import { Loading } from "../ui/loading";
import { Snippet } from "./snippet";
import { commandOf, curlOf, traceOf } from "./texts";

interface Form {
  readonly title: string;
  readonly sentence: string;
  readonly file: string;
  /** Returns undefined while it is on its way, null if the build has no such form. */
  readonly text: (spec: Spec, build: LiveBuild) => string | null | undefined;
}

const FORMS: readonly [Form, ...Form[]] = [
  {
    title: "JSON",
    sentence: "The spec as you edited it, without defaults.",
    file: "spec.json",
    text: (spec) => `${JSON.stringify(spec, null, 2)}\n`,
  },
  {
    title: "Full JSON",
    sentence: "The spec with every default filled in: what the build's id is the digest of.",
    file: "full-spec.json",
    text: (_, build) => `${JSON.stringify(build.spec, null, 2)}\n`,
  },
  {
    title: "curl",
    sentence: "Posts the spec to this service, which then stores the build.",
    file: "build.sh",
    text: (spec) => curlOf(spec),
  },
  {
    title: "Terminal",
    sentence: "Reads the spec with model-zoo, without a service.",
    file: "explain.sh",
    text: (spec) => commandOf(spec),
  },
  {
    title: "Python",
    sentence: "The network as code for this library, inside its scopes.",
    file: "network.py",
    text: () => report("code")?.python,
  },
  {
    title: "Python spec",
    sentence: "Traces the spec with this library, and prints the build's id.",
    file: "trace.py",
    text: (spec) => traceOf(spec),
  },
  {
    title: "TF-Slim",
    sentence: "The network as code for TF-Slim.",
    file: "network_tf_slim.py",
    text: () => {
      const code = report("code");
      return code && (code["tf-slim"] ?? null);
    },
  },
];

export function Codes({ spec, build }: { spec: Spec; build: LiveBuild }) {
  const [title, choose] = useState(FORMS[0].title);
  const form = FORMS.find((each) => each.title === title) ?? FORMS[0];
  const text = form.text(spec, build);
  return (
    <section aria-labelledby="export-code">
      <h2 id="export-code">Code</h2>
      <fieldset class="export-forms">
        <legend class="visually-hidden">Form</legend>
        {FORMS.map((each) => (
          <button
            key={each.title}
            type="button"
            aria-pressed={each === form}
            onClick={() => choose(each.title)}
          >
            {each.title}
          </button>
        ))}
      </fieldset>
      <p>{form.sentence}</p>
      {text === undefined && <Loading what="the code" />}
      {text === null && <NotInSlim />}
      {text && <Snippet title={form.title} text={text} file={form.file} />}
    </section>
  );
}

/** TF-Slim lacks some of what a spec can say; the problem lists what. */
function NotInSlim() {
  const problem = report("code_problems")?.["tf-slim"];
  return (
    <div class="export-note">
      <p>TF-Slim cannot express this build:</p>
      <ul>
        {(problem?.errors ?? []).map((error) => (
          <li key={error.pointer + error.message}>
            <code>{error.pointer}</code> {error.message}
          </li>
        ))}
      </ul>
    </div>
  );
}
