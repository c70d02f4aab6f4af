/** The routes, shown by Swagger UI, which is loaded after the rest of the page. */

import { useEffect, useRef, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api/client";
import { Loading } from "../ui/loading";
import { ProblemNote } from "../ui/problem";
import type { OpenApiDocument } from "./document";

interface Shown {
  search(text: string): void;
}

export function Routes({ spec }: { spec: OpenApiDocument }) {
  const place = useRef<HTMLDivElement>(null);
  const [shown, setShown] = useState<Shown | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const load = () => {
    setProblem(null);
    // Part of Swagger UI otherwise takes over every link to a fragment, without a `hashchange`.
    Object.assign(window, { noZensmooth: true });
    import("./swagger").then(
      ({ showRoutes }) => {
        if (place.current) setShown(showRoutes(spec, place.current));
      },
      (error: unknown) => setProblem(asProblem(error)),
    );
  };
  useEffect(load, []);
  return (
    <section class="routes" aria-labelledby="routes">
      <div class="routes-head">
        <h2 id="routes">Routes</h2>
        <input
          type="search"
          aria-label="Search the routes"
          placeholder="Search the routes"
          disabled={shown === null}
          onInput={(event) => shown?.search(event.currentTarget.value)}
        />
      </div>
      {problem && <ProblemNote problem={problem} retry={load} />}
      {shown === null && problem === null && <Loading what="the routes" />}
      <div ref={place} />
    </section>
  );
}
