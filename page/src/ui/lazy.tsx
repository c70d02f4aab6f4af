/** Components that are loaded when they are first shown, so that the first load stays small. */

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api/client";
import { Loading } from "./loading";
import { ProblemNote } from "./problem";

/** Returns a component that stands for the one that `load` imports. */
export function lazy(load: () => Promise<ComponentType>): ComponentType {
  let loaded: ComponentType | null = null;
  return function Lazy() {
    const [Shown, show] = useState<ComponentType | null>(() => loaded);
    const [problem, setProblem] = useState<Problem | null>(null);
    const fetch = () => {
      setProblem(null);
      load().then(
        (component) => {
          loaded = component;
          show(() => component);
        },
        // The files of the page change their names with each version.
        (error: unknown) =>
          setProblem({
            ...asProblem(error),
            title: "This panel did not load",
            detail: `${asProblem(error).detail}. If the service was updated since the page was opened, reload the page: its address keeps the spec.`,
          }),
      );
    };
    useEffect(() => {
      if (loaded === null) fetch();
    }, []);
    if (problem) return <ProblemNote problem={problem} retry={fetch} />;
    return Shown ? <Shown /> : <Loading what="this panel" />;
  };
}
