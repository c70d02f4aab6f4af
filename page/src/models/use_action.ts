/** Runs an action, and keeps the problem that it failed with. */

import { useState } from "preact/hooks";
import { asProblem, type Problem } from "../api/client";

export type Act = (action: () => Promise<void>) => Promise<void>;

export function useAction(): { problem: Problem | null; act: Act } {
  const [problem, setProblem] = useState<Problem | null>(null);
  const act: Act = async (action) => {
    setProblem(null);
    try {
      await action();
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  return { problem, act };
}
