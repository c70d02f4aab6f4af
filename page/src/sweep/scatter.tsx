/** Rows as points of two figures, with the Pareto front; a point is the row of the table. */

import type { Plot } from "@observablehq/plot";
import { effect, signal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { like, useMarks } from "../ui/marks";
import { PictureButtons } from "../ui/picture_buttons";
import { PlotFigure, type Plotting, useWidth } from "../ui/plot";
import { type Column, isNumeric } from "./columns";
import {
  askFrontAgain,
  front,
  frontProblem,
  isDominatedShown,
  xObjective,
  yObjective,
} from "./objectives";
import { nearest, type Point } from "./points";
import { type Row, rows } from "./run";
import { columns, hoveredRow, selectedRow, shownRows } from "./selection";

const HEIGHT = 340;
const RADIUS = 3.5;
const REACH = 24;

const SVG = "http://www.w3.org/2000/svg";

const isXLog = signal(true);
const isYLog = signal(true);

export function Scatter() {
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const drawn = useRef<Drawn | null>(null);
  const [times, setTimes] = useState(0);
  const width = useWidth(place);
  const numeric = columns.value.filter((column) => isNumeric(column, rows.value));
  const [x, y] = [xObjective.value, yObjective.value];
  const inFront = front.value;
  const log = { x: isXLog.value, y: isYLog.value };
  const { points, lacking } = useMemo(
    () => pointsOf(shownRows.value, x?.column, y?.column, log),
    [x?.column, y?.column, shownRows.value, log.x, log.y],
  );
  const best = useMemo(
    () => points.filter((each) => inFront.has(each.index)).sort((a, b) => a.x - b.x),
    [points, inFront],
  );
  const shown = isDominatedShown.value ? points : best;
  // With bounds, the points that are left stay where they were.
  const ground = useMemo(() => {
    const { points: all } = pointsOf(rows.value, x?.column, y?.column, log);
    return isDominatedShown.value ? all : all.filter((each) => inFront.has(each.index));
  }, [rows.value, x?.column, y?.column, log.x, log.y, isDominatedShown.value, inFront]);
  const [across, up] = [useStable(range(ground, "x")), useStable(range(ground, "y"))];
  // The dots are many, and painted; Plot draws the rest.
  const dots = () => (drawn.current?.points ?? []).filter((each) => !inFront.has(each.index));
  const paint = () => [
    like(canvas.current, [Float32Array.from(dots().flatMap(({ x, y }) => [x, y]))], RADIUS),
  ];
  useMarks(canvas, width, HEIGHT, paint, [shown, inFront, times]);
  useEffect(() => {
    if (drawn.current === null) return;
    drawn.current.points = placed(drawn.current.plot, shown);
    mark(drawn.current, hoveredRow.value, selectedRow.value);
  }, [shown]);

  useEffect(
    () =>
      effect(() => {
        mark(drawn.current, hoveredRow.value, selectedRow.value);
      }),
    [],
  );
  if (x === undefined || y === undefined) {
    return <p class="empty">A scatter needs two figures, and these rows have fewer.</p>;
  }
  const onPointer = (event: PointerEvent) => {
    hoveredRow.value = pointAt(event, drawn.current)?.index ?? null;
  };
  return (
    <section class="sweep-plot" aria-label="Scatter">
      <div class="plot-controls">
        <AxisControls name="Across" objective={xObjective} columns={numeric} log={isXLog} />
        <AxisControls name="Up" objective={yObjective} columns={numeric} log={isYLog} />
        <label>
          <input
            type="checkbox"
            checked={isDominatedShown.value}
            onChange={(event) => {
              isDominatedShown.value = event.currentTarget.checked;
            }}
          />
          Dominated rows
        </label>
        <PictureButtons
          svg={() => {
            drawn.current?.marks.before(dotElements(dots()));
            return place.current?.querySelector("svg");
          }}
          after={() => place.current?.querySelector("g.dots")?.remove()}
          name="sweep"
          what="Scatter"
        />
      </div>
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: the table is the keyboard's way to the rows, as the label says */}
      {/* biome-ignore lint/a11y/noStaticElementInteractions: likewise */}
      <div
        class="scatter"
        onPointerMove={onPointer}
        onPointerLeave={() => {
          hoveredRow.value = null;
        }}
        onClick={(event) => {
          const point = pointAt(event, drawn.current);
          if (point) selectedRow.value = point.index;
        }}
      >
        <canvas ref={canvas} class="dots" style={{ width: `${width}px`, height: `${HEIGHT}px` }} />
        <PlotFigure
          place={place}
          label={`${y.column.label} over ${x.column.label}: ${shown.length} rows, ${inFront.size} of them on the Pareto front. The table below has the same rows, for the keyboard too.`}
          height={HEIGHT}
          inputs={[best, across, up, x, y, log.x, log.y]}
          draw={(plotting) =>
            options(plotting, best, scaleOf(x.column, log.x, across), scaleOf(y.column, log.y, up))
          }
          onDraw={(plot, svg) => {
            const marks = document.createElementNS(SVG, "g");
            marks.setAttribute("class", "rings");
            svg.append(marks);
            drawn.current = { plot, marks, points: placed(plot, shown) };
            mark(drawn.current, hoveredRow.value, selectedRow.value);
            setTimes((before) => before + 1);
          }}
        />
      </div>
      {frontProblem.value && (
        <p class="front-problem" role="alert">
          The service did not give its front: {frontProblem.value.detail} The page has computed this
          one from the rows that are here.{" "}
          <button type="button" onClick={askFrontAgain}>
            Ask again
          </button>
        </p>
      )}
      <p class="plot-note">
        {inFront.size > 0 && `★ ${inFront.size} on the front. `}
        {lacking > 0 &&
          `${lacking} rows have no place here: a figure is missing${log.x || log.y ? ", or has no logarithm" : ""}.`}
      </p>
    </section>
  );
}

function AxisControls({
  name,
  objective,
  columns,
  log,
}: {
  name: string;
  objective: typeof xObjective;
  columns: readonly Column[];
  log: typeof isXLog;
}) {
  const { value } = objective;
  if (value === undefined) return null;
  return (
    <span class="axis-controls">
      <label>
        {name}{" "}
        <select
          value={value.column.id}
          onChange={(event) => {
            const column = columns.find((each) => each.id === event.currentTarget.value);
            if (column) objective.choose({ column: column.id });
          }}
        >
          {columns.map((column) => (
            <option key={column.id} value={column.id}>
              {column.label}
            </option>
          ))}
        </select>
      </label>
      <select
        aria-label={`${name}: which is better`}
        value={value.direction}
        onChange={(event) =>
          objective.choose({
            direction: event.currentTarget.value === "maximize" ? "maximize" : "minimize",
          })
        }
      >
        <option value="minimize">less is better</option>
        <option value="maximize">more is better</option>
      </select>
      <label>
        <input
          type="checkbox"
          aria-label={`${name}: logarithmic`}
          checked={log.value}
          onChange={(event) => {
            log.value = event.currentTarget.checked;
          }}
        />
        log
      </label>
    </span>
  );
}

interface Drawn {
  readonly plot: Plot;
  readonly marks: SVGGElement;
  points: Point[];
}

type Logs = { readonly x: boolean; readonly y: boolean };

function pointsOf(
  among: readonly Row[],
  x: Column | undefined,
  y: Column | undefined,
  log: Logs,
): { points: Point[]; lacking: number } {
  const points: Point[] = [];
  const shown = among.filter((row) => row.status !== "duplicate");
  const fits = (value: unknown, isLog: boolean): value is number =>
    typeof value === "number" && Number.isFinite(value) && (!isLog || value > 0);
  for (const row of shown) {
    const [across, up] = [x?.of(row), y?.of(row)];
    if (fits(across, log.x) && fits(up, log.y)) points.push({ index: row.index, x: across, y: up });
  }
  return { points, lacking: shown.length - points.length };
}

type Range = readonly [number, number];

function range(points: readonly Point[], side: "x" | "y"): Range {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const point of points) {
    low = Math.min(low, point[side]);
    high = Math.max(high, point[side]);
  }
  return [low, high];
}

/** Returns the range that was returned before, if it is the same. */
function useStable([low, high]: Range): Range {
  return useMemo<Range>(() => [low, high], [low, high]);
}

function scaleOf(column: Column, isLog: boolean, [low, high]: Range) {
  return {
    label: column.label,
    type: isLog ? ("log" as const) : ("linear" as const),
    ...(low <= high && { domain: [low, high] }),
    tickFormat: (value: number) => column.text(value),
    ticks: 5,
    grid: true,
    nice: true,
  };
}

function options(
  { dot, line, ruleX }: Plotting,
  best: readonly Point[],
  x: ReturnType<typeof scaleOf>,
  y: ReturnType<typeof scaleOf>,
) {
  return {
    marginLeft: 64,
    marginBottom: 40,
    marginRight: 20,
    style: { background: "none", fontSize: "11px" },
    x,
    y,
    marks: [
      ruleX([]),
      line(best, {
        x: "x",
        y: "y",
        stroke: "var(--accent)",
        strokeOpacity: 0.5,
        curve: "step-after",
      }),
      dot(best, { x: "x", y: "y", r: RADIUS + 1, fill: "var(--accent)", symbol: "star" }),
    ],
  };
}

/** Returns the dots as elements, for a file. */
function dotElements(dots: readonly Point[]): SVGGElement {
  const group = document.createElementNS(SVG, "g");
  group.setAttribute("class", "dots");
  for (const { x, y } of dots) {
    const dot = document.createElementNS(SVG, "circle");
    place(dot, x, y, RADIUS);
    group.append(dot);
  }
  return group;
}

function place(circle: Element, x: number, y: number, radius: number): void {
  circle.setAttribute("cx", x.toFixed(1));
  circle.setAttribute("cy", y.toFixed(1));
  circle.setAttribute("r", String(radius));
}

/** Returns the points with their places in the plot, in pixels. */
function placed(plot: Plot, points: readonly Point[]): Point[] {
  const [x, y] = [plot.scale("x"), plot.scale("y")];
  if (!x || !y) return [];
  return points.map((each) => ({
    ...each,
    x: Number(x.apply(each.x)),
    y: Number(y.apply(each.y)),
  }));
}

function pointAt(event: MouseEvent, drawn: Drawn | null): Point | undefined {
  const box = drawn?.marks.ownerSVGElement?.getBoundingClientRect();
  if (!drawn || !box) return undefined;
  return nearest(drawn.points, event.clientX - box.left, event.clientY - box.top, REACH);
}

/** Rings the rows that are hovered and selected, and names the one under the pointer. */
function mark(drawn: Drawn | null, hovered: number | null, selected: number | null): void {
  if (!drawn) return;
  const ring = (index: number | null, name: string) => {
    const known = drawn.marks.querySelector(`.${name}`);
    const point = index === null ? undefined : drawn.points.find((each) => each.index === index);
    if (point === undefined) return known?.remove();
    const element = known ?? document.createElementNS(SVG, "circle");
    element.setAttribute("class", name);
    place(element, point.x, point.y, RADIUS + 4);
    if (known === null) drawn.marks.append(element);
  };
  ring(selected, "ring-selected");
  ring(hovered, "ring-hovered");
}
