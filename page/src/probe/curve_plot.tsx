/** The curves over the depth of the network; the pointer finds a layer, a click selects it. */

import type { Plot } from "@observablehq/plot";
import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { hoveredLayer, selectedLayer } from "../build/selection";
import { PictureButtons } from "../ui/picture_buttons";
import { PlotFigure, type Plotting } from "../ui/plot";
import { significant } from "../ui/significant";
import { curves, figure, isLog, layerNames } from "./curves";
import { type Curve, drawable, FIGURES } from "./figures";
import { probes } from "./signals";

const HEIGHT = 380;
const SVG = "http://www.w3.org/2000/svg";

interface Drawn {
  readonly plot: Plot;
  readonly marks: SVGGElement;
}

export function CurvePlot() {
  const place = useRef<HTMLDivElement>(null);
  const drawn = useRef<Drawn | null>(null);
  const shown = curves.value;
  const label = FIGURES.find((each) => each.id === figure.value)?.label ?? figure.value;
  const limits = limitsOf();
  useEffect(
    () =>
      effect(() => {
        mark(drawn.current, hoveredLayer.value, selectedLayer.value);
      }),
    [],
  );
  const layerUnder = (event: MouseEvent): string | null => {
    const box = drawn.current?.marks.ownerSVGElement?.getBoundingClientRect();
    const scale = drawn.current?.plot.scale("x");
    if (!box || !scale?.invert) return null;
    const index = Math.round(Number(scale.invert(event.clientX - box.left)));
    return layerNames.value[index] ?? null;
  };
  return (
    <section class="probe-plot" aria-label="Curve">
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: the table is the keyboard's way to the layers, as the label says */}
      {/* biome-ignore lint/a11y/noStaticElementInteractions: likewise */}
      <div
        class="curve"
        onPointerMove={(event) => {
          hoveredLayer.value = layerUnder(event);
        }}
        onPointerLeave={() => {
          hoveredLayer.value = null;
        }}
        onClick={(event) => {
          const layer = layerUnder(event);
          if (layer !== null) selectedLayer.value = layer;
        }}
      >
        <PlotFigure
          place={place}
          label={`${label} by depth: ${shown.length} curves over ${layerNames.value.length} layers. The table below has the same numbers, for the keyboard too.`}
          height={HEIGHT}
          inputs={[shown, isLog.value, layerNames.value, limits.join()]}
          draw={(plotting) => options(plotting, shown, label, limits)}
          onDraw={(plot, svg) => {
            const marks = document.createElementNS(SVG, "g");
            svg.append(marks);
            drawn.current = { plot, marks };
            mark(drawn.current, hoveredLayer.value, selectedLayer.value);
          }}
        />
      </div>
      <div class="probe-legend">
        {shown.map((curve) => (
          <span key={`${curve.build} ${curve.mode} ${curve.source}`} class={classOf(curve)}>
            <svg width="28" height="8" aria-hidden="true">
              <line x1="0" x2="28" y1="4" y2="4" stroke-dasharray={dashes(curve)} />
            </svg>
            {curve.source}, {curve.mode}
            {curve.build === "pinned" && ", pinned build"}
          </span>
        ))}
        <PictureButtons
          svg={() => place.current?.querySelector("svg")}
          name={`signal-${figure.value}`}
          what="Curve"
        />
      </div>
    </section>
  );
}

function classOf(curve: Curve): string {
  return `curve-${curve.mode}${curve.build === "pinned" ? " of-pinned" : ""}`;
}

function colour(curve: Curve): string {
  return curve.mode === "inference" ? "var(--accent)" : "var(--changed)";
}

function dashes(curve: Curve): string {
  return curve.source === "predicted" ? "5 4" : "none";
}

/** The limits of the verdicts on the figure, if a probe has said them. */
function limitsOf(): number[] {
  const limits = Array.from(probes.value.values()).at(-1)?.limits;
  if (!limits) return [];
  switch (figure.value) {
    case "gain_from_input":
      return [limits.vanishing_gain, limits.exploding_gain];
    case "std":
      return [limits.vanishing_std];
    case "dead_units":
      return [limits.dead_units];
    default:
      return [];
  }
}

function options(
  { line, ruleY }: Plotting,
  shown: readonly Curve[],
  label: string,
  limits: readonly number[],
) {
  const log = isLog.value;
  const places = new Map(layerNames.value.map((name, index) => [name, index]));
  const all = shown.map((curve) => ({ curve, values: drawable(curve, log) }));
  const numbers = all.flatMap(({ values }) => values.filter((value) => value !== null));
  return {
    marginLeft: 64,
    marginBottom: 40,
    marginRight: 20,
    style: { background: "none", fontSize: "11px" },
    x: {
      label: "layer, from the input",
      domain: [0, Math.max(1, layerNames.value.length - 1)],
      tickFormat: "d",
    },
    y: {
      label,
      type: log ? ("log" as const) : ("linear" as const),
      grid: true,
      nice: true,
      ticks: 6,
      tickFormat: significant,
      // Without a number, an axis has no range of its own.
      ...(numbers.length === 0 && { domain: log ? [0.1, 10] : [0, 1] }),
    },
    marks: [
      ruleY(limits, { stroke: "var(--bad)", strokeDasharray: "1 3" }),
      ...all.map(({ curve, values }) =>
        line(
          values.flatMap((value, index) => {
            const name = curve.layers[index] ?? "";
            // The layers of another network stand by their order.
            const at = curve.build === "live" ? places.get(name) : index;
            return at === undefined ? [] : [{ at, value }];
          }),
          {
            x: "at",
            y: (point: { value: number | null }) => point.value ?? Number.NaN,
            stroke: colour(curve),
            strokeWidth: curve.build === "pinned" ? 1 : 1.8,
            strokeOpacity: curve.build === "pinned" ? 0.6 : 1,
            strokeDasharray: dashes(curve),
          },
        ),
      ),
    ],
  };
}

/** Draws a line at the layers that are hovered and selected. */
function mark(drawn: Drawn | null, hovered: string | null, selected: string | null): void {
  const [x, y] = [drawn?.plot.scale("x"), drawn?.plot.scale("y")];
  if (!drawn || !x || !y?.range) return;
  const [bottom = 0, top = 0] = Array.from(y.range, Number);
  const rule = (name: string | null, kind: string) => {
    const index = name === null ? -1 : layerNames.value.indexOf(name);
    if (index < 0) return [];
    const line = document.createElementNS(SVG, "line");
    const at = String(x.apply(index));
    line.setAttribute("class", kind);
    for (const [attribute, value] of [
      ["x1", at],
      ["x2", at],
      ["y1", String(bottom)],
      ["y2", String(top)],
    ] as const) {
      line.setAttribute(attribute, value);
    }
    return [line];
  };
  drawn.marks.replaceChildren(
    ...rule(selected, "layer-selected"),
    ...rule(hovered, "layer-hovered"),
  );
}
