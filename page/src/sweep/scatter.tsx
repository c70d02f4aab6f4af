/** Rows as points of two figures, with the Pareto front; a point is the row of the table. */

import type { Plot } from "@observablehq/plot";
import { effect, signal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { PictureButtons } from "../ui/picture_buttons";
import { PlotFigure, type Plotting } from "../ui/plot";
import { type Column, isNumeric } from "./columns";
import { front, isDominatedShown, xObjective, yObjective } from "./objectives";
import { nearest, type Point } from "./points";
import { rows } from "./run";
import { columns, hoveredRow, rowAt, selectedRow, shownRows } from "./selection";

const HEIGHT = 340;
const RADIUS = 3.5;
const REACH = 24;

const isXLog = signal(true);
const isYLog = signal(true);

export function Scatter() {
  const place = useRef<HTMLDivElement>(null);
  const drawn = useRef<{ plot: Plot; marks: SVGGElement; points: Point[] } | null>(null);
  const numeric = columns.value.filter((column) => isNumeric(column, rows.value));
  const [x, y] = [xObjective.value, yObjective.value];
  const inFront = front.value;
  const log = { x: isXLog.value, y: isYLog.value };
  const { points, lacking } = useMemo(
    () => pointsOf(x?.column, y?.column, log),
    [x?.column, y?.column, shownRows.value, log.x, log.y],
  );
  const shown = isDominatedShown.value ? points : points.filter((each) => inFront.has(each.index));

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
        <span class="grow" />
        <PictureButtons
          svg={() => place.current?.querySelector("svg")}
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
        <PlotFigure
          place={place}
          label={`${y.column.label} over ${x.column.label}: ${shown.length} rows, ${inFront.size} of them on the Pareto front. The table below has the same rows, for the keyboard too.`}
          height={HEIGHT}
          inputs={[shown, inFront, x, y, log.x, log.y]}
          draw={(plotting) => options(plotting, shown, inFront, x.column, y.column, log)}
          onDraw={(plot, svg) => {
            const marks = document.createElementNS("http://www.w3.org/2000/svg", "g");
            marks.setAttribute("class", "rings");
            svg.append(marks);
            drawn.current = { plot, marks, points: placed(plot, shown) };
            mark(drawn.current, hoveredRow.value, selectedRow.value);
          }}
        />
      </div>
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

type Logs = { readonly x: boolean; readonly y: boolean };

function pointsOf(
  x: Column | undefined,
  y: Column | undefined,
  log: Logs,
): { points: Point[]; lacking: number } {
  const points: Point[] = [];
  const shown = shownRows.value.filter((row) => row.status !== "duplicate");
  const fits = (value: unknown, isLog: boolean): value is number =>
    typeof value === "number" && Number.isFinite(value) && (!isLog || value > 0);
  for (const row of shown) {
    const [across, up] = [x?.of(row), y?.of(row)];
    if (fits(across, log.x) && fits(up, log.y)) points.push({ index: row.index, x: across, y: up });
  }
  return { points, lacking: shown.length - points.length };
}

function options(
  { dot, line, ruleX }: Plotting,
  points: readonly Point[],
  front: ReadonlySet<number>,
  x: Column,
  y: Column,
  log: Logs,
) {
  const best = points.filter((each) => front.has(each.index)).sort((a, b) => a.x - b.x);
  const others = points.filter((each) => !front.has(each.index));
  const scale = (column: Column, isLog: boolean) => ({
    label: column.label,
    type: isLog ? ("log" as const) : ("linear" as const),
    tickFormat: (value: number) => column.text(value),
    ticks: 5,
    grid: true,
    nice: true,
  });
  return {
    marginLeft: 64,
    marginBottom: 40,
    marginRight: 20,
    style: { background: "none", fontSize: "11px" },
    x: scale(x, log.x),
    y: scale(y, log.y),
    marks: [
      ruleX([]),
      dot(others, { x: "x", y: "y", r: RADIUS, fill: "var(--edge-strong)", fillOpacity: 0.7 }),
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

function pointAt(
  event: MouseEvent,
  drawn: { marks: SVGGElement; points: Point[] } | null,
): Point | undefined {
  const box = drawn?.marks.ownerSVGElement?.getBoundingClientRect();
  if (!drawn || !box) return undefined;
  return nearest(drawn.points, event.clientX - box.left, event.clientY - box.top, REACH);
}

/** Rings the rows that are hovered and selected, and names the one under the pointer. */
function mark(
  drawn: { marks: SVGGElement; points: Point[] } | null,
  hovered: number | null,
  selected: number | null,
): void {
  if (!drawn) return;
  const ring = (index: number | null, name: string) => {
    const point = drawn.points.find((each) => each.index === index);
    if (point === undefined) return [];
    const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    circle.setAttribute("class", name);
    circle.setAttribute("cx", String(point.x));
    circle.setAttribute("cy", String(point.y));
    circle.setAttribute("r", String(RADIUS + 4));
    return [circle];
  };
  drawn.marks.replaceChildren(...ring(selected, "ring-selected"), ...ring(hovered, "ring-hovered"));
}

export function hoverText(index: number | null): string {
  const row = rowAt(index);
  if (row === undefined) return "";
  const values = columns.value
    .filter((column) => column.of(row) !== undefined)
    .slice(0, 8)
    .map((column) => `${column.label} ${column.text(column.of(row))}`);
  return `Row ${row.index}: ${values.join(", ")}`;
}
