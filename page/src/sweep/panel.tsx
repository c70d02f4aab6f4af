/** Sweeps: many builds that differ along axes, and what comes of each. */

import { useEffect } from "preact/hooks";
import { Boundary } from "../ui/problem";
import { startFront } from "./objectives";
import { startPlanning } from "./plan";
import { Results } from "./results";
import { SetUp } from "./set_up";
import "./sweep.css";

export function Sweep() {
  useEffect(() => startPlanning(), []);
  useEffect(() => startFront(), []);
  return (
    <div class="sweep">
      <SetUp />
      <Boundary>
        <Results />
      </Boundary>
    </div>
  );
}
