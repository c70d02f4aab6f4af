/** Parallel coordinates: a line for each row over an axis for each thing that varies. */

import { computed, type Signal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import { like, useMarks } from "../ui/marks";
import { PictureButtons } from "../ui/picture_buttons";
import { useWidth } from "../ui/plot";
import { bendsOf, type Frame, inParts, nearestRow, pathOf, type Shares, sharesOf } from "./lines";
import { front } from "./objectives";
import { ParallelAxis } from "./parallel_axis";
import { type Row, rows } from "./run";
import {
  type Axis,
  hoveredRow,
  parallelAxes,
  rowAt,
  selectedRow,
  setLog,
  shownRows,
} from "./selection";

const HEIGHT = 300;
const TOP = 44;
const BOTTOM = 16;
const LENGTH = HEIGHT - TOP - BOTTOM;
const LEFT = 70;
// The values of the last axis stand right of it.
const RIGHT = 110;
const LEAST_SPACING = 120;

const shares = computed(() => sharesOf(rows.value, parallelAxes.value));

export function Parallel() {
  const scroller = useRef<HTMLDivElement>(null);
  const svg = useRef<SVGSVGElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const lines = useRef<SVGGElement>(null);
  const width = useWidth(scroller);
  const axes = parallelAxes.value;
  const spacing = Math.max(LEAST_SPACING, (width - LEFT - RIGHT) / Math.max(1, axes.length - 1));
  const full = LEFT + RIGHT + spacing * Math.max(0, axes.length - 1);
  const frame: Frame = useMemo(
    () => ({ left: LEFT, top: TOP, length: LENGTH, spacing }),
    [spacing],
  );
  const shown = shownRows.value;
  const inFront = front.value;
  const lineShares = shares.value;
  const layers = (): Layer[] => {
    const shownSet = new Set(shown);
    return [
      ["line-hidden", [rows.value.filter((row) => !shownSet.has(row))]],
      ["line-shown", inParts(shown.filter((row) => !inFront.has(row.index)))],
      ["line-front", [shown.filter((row) => inFront.has(row.index))]],
    ];
  };
  const paint = () =>
    layers().map(([name, parts]) =>
      like(
        lines.current?.querySelector(`.${name}`),
        parts.map((part) => bendsOf(part, lineShares, frame)),
      ),
    );
  useMarks(canvas, full, HEIGHT, paint, [shown, inFront, lineShares, frame]);
  if (axes.length < 2) {
    return (
      <p class="empty">Parallel coordinates show what varies; here that is less than two things.</p>
    );
  }
  const rowUnder = (event: MouseEvent) => {
    const box = svg.current?.getBoundingClientRect();
    if (box === undefined) return null;
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    return nearestRow(shown, lineShares, frame, x, y);
  };
  return (
    <section class="sweep-plot" aria-label="Parallel coordinates">
      <div class="plot-controls">
        <span>Drag along an axis to show only the rows within.</span>
        <PictureButtons
          svg={() => {
            lines.current?.append(...elementsOf(layers(), lineShares, frame));
            return svg.current;
          }}
          after={() => {
            for (const path of lines.current?.querySelectorAll("[d]") ?? []) path.remove();
          }}
          name="sweep-axes"
          what="Parallel coordinates"
        />
      </div>
      <div class="parallel" ref={scroller}>
        <canvas ref={canvas} style={{ width: `${full}px`, height: `${HEIGHT}px` }} />
        {/* biome-ignore lint/a11y/useSemanticElements: a drawing that is a group has no other element */}
        {/* biome-ignore lint/a11y/useKeyWithClickEvents: the table is the keyboard's way to the rows, as the label says */}
        <svg
          ref={svg}
          width={full}
          height={HEIGHT}
          role="group"
          aria-label={`Parallel coordinates of ${shown.length} rows. The table below has the same rows, for the keyboard too; the bounds of each axis take the arrow keys.`}
          onPointerMove={(event) => {
            hoveredRow.value = rowUnder(event);
          }}
          onPointerLeave={() => {
            hoveredRow.value = null;
          }}
          onClick={(event) => {
            const row = rowUnder(event);
            if (row !== null) selectedRow.value = row;
          }}
        >
          {/* As these look, so do the lines on the canvas. */}
          <g fill="none" ref={lines}>
            <path class="line-hidden" />
            <path class="line-shown" />
            <path class="line-front" />
          </g>
          <Marked of={selectedRow} name="line-selected" shares={lineShares} frame={frame} />
          <Marked of={hoveredRow} name="line-hovered" shares={lineShares} frame={frame} />
          {axes.map(({ column, scale }, index) => (
            <ParallelAxis
              key={column.id}
              column={column}
              scale={scale}
              x={LEFT + index * spacing}
              top={TOP}
              length={LENGTH}
              spacing={spacing}
              room={index === axes.length - 1 ? RIGHT : spacing}
            />
          ))}
        </svg>
      </div>
      <LogChoices axes={axes} />
    </section>
  );
}

/** Rows whose lines look as a class says, in parts that lie one over the other. */
type Layer = readonly [name: string, parts: readonly (readonly Row[])[]];

/** Returns the lines as elements, for a file. */
function elementsOf(layers: readonly Layer[], shares: Shares, frame: Frame): Element[] {
  return layers.flatMap(([name, parts]) =>
    parts.map((part) => {
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("class", name);
      path.setAttribute("d", pathOf(part, shares, frame));
      return path;
    }),
  );
}

function LogChoices({ axes }: { axes: readonly Axis[] }) {
  const possible = axes.filter(({ scale }) => scale.canBeLog);
  if (possible.length === 0) return null;
  return (
    <fieldset class="log-choices">
      <legend>Logarithmic</legend>
      {possible.map(({ column, scale }) => (
        <label key={column.id}>
          <input
            type="checkbox"
            checked={scale.isLog}
            onChange={(event) => setLog(column.id, event.currentTarget.checked)}
          />
          {column.label}
        </label>
      ))}
    </fieldset>
  );
}

/** The line of one row, drawn over the others. */
function Marked({
  of,
  name,
  shares,
  frame,
}: {
  of: Signal<number | null>;
  name: string;
  shares: Shares;
  frame: Frame;
}) {
  const row = rowAt(of.value);
  if (row === undefined) return null;
  return <path class={name} fill="none" d={pathOf([row], shares, frame)} />;
}
