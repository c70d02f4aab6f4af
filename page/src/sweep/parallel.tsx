/** Parallel coordinates: a line for each row over an axis for each thing that varies. */

import type { Signal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import { PictureButtons } from "../ui/picture_buttons";
import { useWidth } from "../ui/plot";
import type { Column } from "./columns";
import { front } from "./objectives";
import { ParallelAxis } from "./parallel_axis";
import { type Row, rows } from "./run";
import type { Scale } from "./scale";
import { hoveredRow, parallelAxes, rowAt, selectedRow, setLog, shownRows } from "./selection";

const HEIGHT = 300;
const TOP = 44;
const BOTTOM = 16;
const LENGTH = HEIGHT - TOP - BOTTOM;
const LEFT = 70;
const RIGHT = 80;
const LEAST_SPACING = 120;
const REACH = 12;

type ScaledAxis = { readonly column: Column; readonly scale: Scale };

export function Parallel() {
  const scroller = useRef<HTMLDivElement>(null);
  const svg = useRef<SVGSVGElement>(null);
  const width = useWidth(scroller);
  const axes = parallelAxes.value;
  const spacing = Math.max(LEAST_SPACING, (width - LEFT - RIGHT) / Math.max(1, axes.length - 1));
  const full = LEFT + RIGHT + spacing * Math.max(0, axes.length - 1);
  const shown = shownRows.value;
  const inFront = front.value;
  const paths = useMemo(() => {
    const shownSet = new Set(shown);
    const hidden = rows.value.filter((row) => !shownSet.has(row));
    return {
      hidden: linesOf(hidden, axes, spacing),
      shown: pathsOf(
        shown.filter((row) => !inFront.has(row.index)),
        axes,
        spacing,
      ),
      front: linesOf(
        shown.filter((row) => inFront.has(row.index)),
        axes,
        spacing,
      ),
    };
  }, [shown, inFront, axes, spacing]);
  if (axes.length < 2) {
    return (
      <p class="empty">Parallel coordinates show what varies; here that is less than two things.</p>
    );
  }
  const rowUnder = (event: MouseEvent) => {
    const box = svg.current?.getBoundingClientRect();
    if (box === undefined) return null;
    return nearestRow(shown, axes, spacing, event.clientX - box.left, event.clientY - box.top);
  };
  return (
    <section class="sweep-plot" aria-label="Parallel coordinates">
      <div class="plot-controls">
        <span>Drag along an axis to show only the rows within.</span>
        <span class="grow" />
        <PictureButtons svg={() => svg.current} name="sweep-axes" what="Parallel coordinates" />
      </div>
      <div class="parallel" ref={scroller}>
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
          <g fill="none" class="lines">
            <path class="line-hidden" d={paths.hidden} />
            {paths.shown.map((lines, index) => (
              <path key={index} class="line-shown" d={lines} />
            ))}
            <path class="line-front" d={paths.front} />
          </g>
          <Marked of={selectedRow} name="line-selected" axes={axes} spacing={spacing} />
          <Marked of={hoveredRow} name="line-hovered" axes={axes} spacing={spacing} />
          {axes.map(({ column, scale }, index) => (
            <ParallelAxis
              key={column.id}
              column={column}
              scale={scale}
              x={LEFT + index * spacing}
              top={TOP}
              length={LENGTH}
              spacing={spacing}
            />
          ))}
        </svg>
      </div>
      <LogChoices axes={axes} />
    </section>
  );
}

function LogChoices({ axes }: { axes: readonly ScaledAxis[] }) {
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
  axes,
  spacing,
}: {
  of: Signal<number | null>;
  name: string;
  axes: readonly ScaledAxis[];
  spacing: number;
}) {
  const row = rowAt(of.value);
  if (row === undefined) return null;
  return <path class={name} fill="none" d={lineOf(row, axes, spacing)} />;
}

function linesOf(all: readonly Row[], axes: readonly ScaledAxis[], spacing: number): string {
  return all.map((row) => lineOf(row, axes, spacing)).join("");
}

const MAX_PATHS = 60;

/** Returns some paths with lines of all rows, so that what many lie over is darker. */
function pathsOf(all: readonly Row[], axes: readonly ScaledAxis[], spacing: number): string[] {
  const size = Math.max(1, Math.ceil(all.length / MAX_PATHS));
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    linesOf(all.slice(index * size, (index + 1) * size), axes, spacing),
  );
}

/** Returns the line of a row; it is interrupted where the row has no value. */
function lineOf(row: Row, axes: readonly ScaledAxis[], spacing: number): string {
  let line = "";
  let isPenDown = false;
  axes.forEach(({ column, scale }, index) => {
    const share = scale.share(column.of(row));
    if (share !== undefined) {
      const [x, y] = [LEFT + index * spacing, TOP + (1 - share) * LENGTH];
      line += `${isPenDown ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`;
    }
    isPenDown = share !== undefined;
  });
  return line;
}

/** Returns the index of the row whose line passes nearest to a place, if one is in reach. */
function nearestRow(
  all: readonly Row[],
  axes: readonly ScaledAxis[],
  spacing: number,
  x: number,
  y: number,
): number | null {
  const position = Math.min(Math.max((x - LEFT) / spacing, 0), axes.length - 1);
  const left = Math.min(Math.floor(position), axes.length - 2);
  const [from, to] = [axes[left], axes[left + 1]];
  if (!from || !to) return null;
  let best: number | null = null;
  let least = REACH;
  for (const row of all) {
    const [a, b] = [from.scale.share(from.column.of(row)), to.scale.share(to.column.of(row))];
    if (a === undefined || b === undefined) continue;
    const share = a + (b - a) * (position - left);
    const distance = Math.abs(TOP + (1 - share) * LENGTH - y);
    if (distance < least) {
      least = distance;
      best = row.index;
    }
  }
  return best;
}
