/** One axis of the parallel coordinates: its ticks, and the bounds within which rows are shown. */

import { useRef } from "preact/hooks";
import type { Column } from "./columns";
import type { Scale } from "./scale";
import { brush, brushes } from "./selection";

const HALF = 11;
// No character of these texts is wider on average, in pixels.
const CHARACTER = 7;
const KEY_STEP = 0.05;
// A click is no drag.
const LEAST_PART = 0.015;

export function ParallelAxis({
  column,
  scale,
  x,
  top,
  length,
  spacing,
  room,
}: {
  column: Column;
  scale: Scale;
  x: number;
  top: number;
  length: number;
  spacing: number;
  /** How far the texts beside the axis may go. */
  room: number;
}) {
  const part = brushes.value.get(column.id);
  const [low, high] = part ?? [0, 1];
  const y = (share: number) => top + (1 - share) * length;
  const started = useRef<number | null>(null);
  const shareAt = (event: PointerEvent) => {
    const box = (event.currentTarget as SVGElement).ownerSVGElement?.getBoundingClientRect();
    return clamp(1 - (event.clientY - (box?.top ?? 0) - top) / length);
  };
  const set = (from: number, to: number) => {
    const isWhole = from <= 0 && to >= 1;
    brush(column.id, isWhole ? null : [from, to]);
  };
  const bound = (which: "lower" | "upper") => {
    const share = which === "lower" ? low : high;
    return (
      <g
        role="slider"
        // SVG knows the attribute in small letters alone.
        tabindex={0}
        class="bound"
        aria-orientation="vertical"
        aria-label={`${column.label}: ${which} bound`}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(share * 100)}
        aria-valuetext={nearestTick(scale, share)}
        onKeyDown={(event) => {
          const steps: Record<string, number> = {
            ArrowUp: share + KEY_STEP,
            ArrowRight: share + KEY_STEP,
            ArrowDown: share - KEY_STEP,
            ArrowLeft: share - KEY_STEP,
            Home: 0,
            End: 1,
          };
          const step = steps[event.key];
          if (event.key === "Escape") brush(column.id, null);
          if (step === undefined) return;
          event.preventDefault();
          // Twentieths added up are not whole.
          const to = clamp(Math.round(step / KEY_STEP) * KEY_STEP);
          if (which === "lower") set(Math.min(to, high), high);
          else set(low, Math.max(to, low));
        }}
      >
        <rect x={x - HALF} y={y(share) - 3} width={2 * HALF} height={6} rx={2} />
      </g>
    );
  };
  return (
    <g class="parallel-axis">
      <text class="axis-name" x={x} y={16} text-anchor="middle">
        <title>{column.label}</title>
        {shortened(column.label, Math.floor((spacing - 8) / CHARACTER))}
      </text>
      {scale.isLog && (
        <text class="axis-log" x={x} y={30} text-anchor="middle">
          log
        </text>
      )}
      <line x1={x} x2={x} y1={top} y2={top + length} />
      <g>
        {scale.ticks.map((tick) => (
          <text key={tick.share} x={x + HALF + 3} y={y(tick.share)} dy="0.32em">
            <title>{tick.text}</title>
            {squeezed(tick.text, Math.floor((room - 2 * HALF - 6) / CHARACTER))}
          </text>
        ))}
      </g>
      {part && (
        // With keys, the rectangle that is dragged on stays the same when this one comes.
        <rect
          key="brush"
          class="brush"
          x={x - HALF + 3}
          y={y(high)}
          width={2 * (HALF - 3)}
          height={y(low) - y(high)}
        />
      )}
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the bounds are its controls for the keyboard */}
      <rect
        key="area"
        class="brush-area"
        x={x - HALF}
        y={top - 6}
        width={2 * HALF}
        height={length + 12}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          started.current = shareAt(event);
        }}
        onPointerMove={(event) => {
          const from = started.current;
          if (from === null) return;
          const to = shareAt(event);
          if (Math.abs(to - from) >= LEAST_PART) set(Math.min(from, to), Math.max(from, to));
        }}
        onPointerUp={(event) => {
          const from = started.current;
          started.current = null;
          if (from !== null && Math.abs(shareAt(event) - from) < LEAST_PART) brush(column.id, null);
        }}
        onClick={(event) => event.stopPropagation()}
      />
      {bound("upper")}
      {bound("lower")}
    </g>
  );
}

function clamp(share: number): number {
  return Math.min(1, Math.max(0, share));
}

function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, Math.max(3, most - 1))}…` : text;
}

/** Leaves out the middle: values of one kind often begin in the same way. */
function squeezed(text: string, most: number): string {
  const half = Math.max(3, Math.floor((most - 1) / 2));
  return text.length > most ? `${text.slice(0, half)}…${text.slice(-half)}` : text;
}

/** Says about which value a share of the axis is. */
function nearestTick(scale: Scale, share: number): string {
  const [first, ...others] = scale.ticks;
  if (first === undefined) return "";
  const distance = (tick: { share: number }) => Math.abs(tick.share - share);
  return others.reduce((best, tick) => (distance(tick) < distance(best) ? tick : best), first).text;
}
