/** The reference of the routes, and of the problems that they answer with. */

import { useCallback, useEffect, useState } from "preact/hooks";
import { TokenButton, TokenDialog } from "../access/dialog";
import { ServiceLink } from "../access/link";
import { asProblem, type Problem } from "../api/client";
import icon from "../icon.svg";
import { Loading } from "../ui/loading";
import { ProblemNote } from "../ui/problem";
import { type OpenApiDocument, readDocument } from "./document";
import { Problems } from "./problems";
import { Routes } from "./routes";
import "./docs.css";

export function Reference() {
  const [spec, setSpec] = useState<OpenApiDocument | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const load = useCallback(() => {
    setProblem(null);
    readDocument().then(setSpec, (error: unknown) => setProblem(asProblem(error)));
  }, []);
  useEffect(load, []);
  return (
    <>
      <header class="docs-bar">
        <h1>
          <img src={icon} alt="" /> Model zoo <span>API reference</span>
        </h1>
        <nav aria-label="Service">
          <a href="./">The page</a>
          <a href="#problems">Problems</a>
          <ServiceLink path="v1/limits">Limits</ServiceLink>
          <ServiceLink path="healthz">Health</ServiceLink>
          <ServiceLink path="openapi.json">OpenAPI document</ServiceLink>
        </nav>
        <TokenButton />
      </header>
      <TokenDialog />
      <main class="docs-body">
        {problem && <ProblemNote problem={problem} retry={load} />}
        {spec === null && problem === null && <Loading what="the routes" />}
        {spec && <Routes spec={spec} />}
        {spec && <Problems kinds={spec["x-problems"]} />}
      </main>
    </>
  );
}
