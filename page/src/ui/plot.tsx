/** A plot of Observable Plot, which is loaded when the first one is shown. */

import type * as PlotModule from "@observablehq/plot";
import type { RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api/client";
import { Loading } from "./loading";
import { ProblemNote } from "./problem";

export type Plotting = typeof PlotModule;
type Drawn = (SVGSVGElement | HTMLElement) & PlotModule.Plot;

let loading: Promise<Plotting> | null = null;

/** Returns the plot that `draw` makes at the width of its place; drawn anew when `inputs` change. */
export function PlotFigure({
  label,
  draw,
  inputs,
  height,
  onDraw,
  place,
}: {
  /** What the plot shows, for those who do not see it. */
  label: string;
  draw: (plotting: Plotting, width: number) => PlotModule.PlotOptions;
  inputs: readonly unknown[];
  height: number;
  /** Called with each new plot and its element, before it is seen. */
  onDraw?: (plot: PlotModule.Plot, svg: SVGSVGElement) => void;
  place?: RefObject<HTMLDivElement | null>;
}) {
  const own = useRef<HTMLDivElement>(null);
  const target = place ?? own;
  const width = useWidth(target);
  const [plotting, setPlotting] = useState<Plotting | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const load = () => {
    setProblem(null);
    loading ??= import("@observablehq/plot");
    loading.then(
      (loaded) => setPlotting(() => loaded),
      (error: unknown) => {
        loading = null;
        setProblem(asProblem(error));
      },
    );
  };
  useEffect(load, []);
  useEffect(() => {
    if (plotting === null || width < MIN_WIDTH) return;
    let drawn: Drawn;
    try {
      drawn = plotting.plot({ width, height, ariaLabel: label, ...draw(plotting, width) }) as Drawn;
    } catch (error) {
      setProblem(asProblem(error));
      return;
    }
    const svg = drawn instanceof SVGSVGElement ? drawn : drawn.querySelector("svg");
    if (svg) {
      // Plot names its groups, which have no role that could have a name.
      for (const group of svg.querySelectorAll("g[aria-label]"))
        group.removeAttribute("aria-label");
      onDraw?.(drawn, svg);
    }
    target.current?.replaceChildren(drawn);
  }, [plotting, width, height, label, ...inputs]);
  // The place has its height from the start, so that nothing moves when the plot has come.
  return (
    <div style={{ minHeight: `${height}px` }}>
      {problem && <ProblemNote problem={problem} retry={load} />}
      {!problem && plotting === null && <Loading what="the plot" />}
      <div class="plot" ref={target} />
    </div>
  );
}

const MIN_WIDTH = 40;

/** Returns the width of an element in pixels, as it changes. */
export function useWidth(element: RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (element.current === null) return;
    const observer = new ResizeObserver(([entry]) => {
      if (entry) setWidth(Math.round(entry.contentRect.width));
    });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return width;
}
