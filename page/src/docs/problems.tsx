/** Every kind of problem: what it means, and what to do. A problem's `type` leads here. */

import { useEffect, useState } from "preact/hooks";
import type { ProblemKind } from "./document";

export function Problems({ kinds }: { kinds: readonly ProblemKind[] }) {
  const named = useFragment();
  useEffect(() => {
    if (kinds.some((kind) => idOf(kind) === named)) {
      document.getElementById(named)?.scrollIntoView({ block: "center" });
    }
  }, [named, kinds]);
  return (
    <section class="problem-kinds" aria-labelledby="problems">
      <h2 id="problems">Problems</h2>
      <p>
        An answer that is no success is a problem (RFC 9457). Its <code>type</code> is one of these,
        its <code>detail</code> says what went wrong, and <code>errors</code> where.
      </p>
      <dl>
        {kinds.map((kind) => (
          <div
            key={kind.type}
            id={idOf(kind)}
            class="problem-kind"
            aria-current={idOf(kind) === named ? "location" : undefined}
          >
            <dt>
              <a href={`#${idOf(kind)}`}>
                <code>{idOf(kind).replace("problem-", "")}</code>
              </a>
              <span class="problem-status">{kind.status}</span>
              <strong>{kind.title}</strong>
            </dt>
            <dd>{withCode(kind.explanation)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

/** Returns `problem-NAME` of the type `/docs#problem-NAME`. */
function idOf(kind: ProblemKind): string {
  return kind.type.slice(kind.type.indexOf("#") + 1);
}

/** Returns the text with what stands between backticks as code. */
function withCode(text: string) {
  return text.split("`").map((part, index) => (index % 2 ? <code key={part}>{part}</code> : part));
}

function useFragment(): string {
  const [fragment, setFragment] = useState(location.hash.slice(1));
  useEffect(() => {
    const read = () => setFragment(location.hash.slice(1));
    addEventListener("hashchange", read);
    return () => removeEventListener("hashchange", read);
  }, []);
  return fragment;
}
