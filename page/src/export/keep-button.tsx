/** Stores the live build, and says what that means. */

import { useState } from "preact/hooks";
import { asProblem, type Problem } from "../api/client";
import { keep } from "../build/kept";
import type { Spec } from "../spec/draft";
import { ProblemNote } from "../ui/problem";

export function KeepButton({ spec, title }: { spec: Spec; title: string }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const store = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await keep(spec);
    } catch (error) {
      setProblem(asProblem(error));
    }
    setBusy(false);
  };
  return (
    <>
      <button type="button" disabled={busy} onClick={() => void store()}>
        {busy ? "Storing …" : title}
      </button>
      {problem && <ProblemNote problem={problem} retry={() => void store()} />}
    </>
  );
}
