/** The layers that differ, each with its arguments that do; only rows in view are rendered. */

import type { ComponentChildren } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import { liveBuild } from "../build/live";
import { hoveredLayer, selectedLayer } from "../build/selection";
import { setterClass, setterMark, setterName, setterOf } from "../provenance/setters";
import { exact, shape, short, value } from "../ui/format";
import { LayerName } from "../ui/layer_name";
import { VirtualBody } from "../ui/virtual_body";
import type { Diff } from "./diff";
import { useRovingRows } from "./roving";
import {
  type DiffRow,
  type LayerDiff,
  layerOf,
  rowsOf,
  type Setting,
  SIGNS,
  type Status,
} from "./rows";

const ROW_PX = 30;
const HEAD_PX = 30;
const STATUSES: readonly Status[] = ["changed", "renamed", "added", "removed"];

export function DiffLayers({ diff }: { diff: Diff }) {
  const [hidden, setHidden] = useState<ReadonlySet<Status>>(new Set());
  const rows = useMemo(() => rowsOf(diff, hidden), [diff, hidden]);
  const scroller = useRef<HTMLDivElement>(null);
  const { indices, current, setCurrent, onKeyDown } = useRovingRows(
    scroller,
    rows.length,
    ROW_PX,
    HEAD_PX,
  );
  const toggle = (status: Status) => {
    const others = new Set(hidden);
    if (!others.delete(status)) others.add(status);
    setHidden(others);
  };
  const counts = diff.layer_counts;
  return (
    <section class="diff-layers" aria-label="Layers that differ">
      <fieldset class="diff-filter">
        <legend class="visually-hidden">Show layers that are</legend>
        {STATUSES.map((status) => (
          <button
            key={status}
            type="button"
            aria-pressed={!hidden.has(status)}
            disabled={counts[status] === 0}
            onClick={() => toggle(status)}
          >
            <span class={`diff-sign diff-${status}`}>{SIGNS[status]}</span>
            {exact(counts[status])} {status}
          </button>
        ))}
        <span class="diff-same">{exact(counts.same)} the same</span>
      </fieldset>
      {rows.length === 0 ? (
        <p class="empty">
          {hidden.size > 0 && diff.layers.length > 0
            ? "The layers that differ are of a kind that is hidden."
            : "No layer differs: each has the same shape, size and arguments on both sides."}
        </p>
      ) : (
        <div class="diff-scroller" ref={scroller}>
          <table
            // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: a grid is a table whose rows take the focus
            role="grid"
            aria-label="Layers that differ"
            aria-rowcount={rows.length + 1}
            onKeyDown={onKeyDown}
          >
            <Head />
            <VirtualBody
              indices={indices}
              count={rows.length}
              height={ROW_PX}
              row={(index) => {
                const row = rows[index];
                if (row === undefined) return null;
                const isCurrent = index === current;
                return (
                  <Row
                    key={index}
                    row={row}
                    index={index}
                    isCurrent={isCurrent}
                    enter={() => setCurrent(index)}
                  />
                );
              }}
            />
          </table>
        </div>
      )}
    </section>
  );
}

function Head() {
  return (
    <thead>
      <tr aria-rowindex={1}>
        <th scope="col" class="diff-status">
          <span class="visually-hidden">Status</span>
        </th>
        <th scope="col">Layer, and its arguments</th>
        <th scope="col">Output shape</th>
        <th scope="col">Parameters</th>
        <th scope="col">Multiply-adds</th>
      </tr>
    </thead>
  );
}

function Row({
  row,
  index,
  isCurrent,
  enter,
}: {
  row: DiffRow;
  index: number;
  isCurrent: boolean;
  enter: () => void;
}) {
  const layer = layerOf(row);
  return (
    <tr
      class={`diff-${row.kind}`}
      data-index={index}
      aria-rowindex={index + 2}
      aria-selected={selectedLayer.value === layer}
      tabIndex={isCurrent ? 0 : -1}
      onFocus={enter}
      onClick={() => select(layer)}
      onKeyDown={(event) => {
        if (event.key === "Enter") select(layer);
      }}
      onPointerEnter={() => {
        hoveredLayer.value = layer;
      }}
      onPointerLeave={() => {
        hoveredLayer.value = null;
      }}
    >
      {row.kind === "layer" ? (
        <LayerCells layer={row.layer} />
      ) : (
        <SettingCells setting={row.setting} isAlone={row.isAlone} />
      )}
    </tr>
  );
}

/** Selects a layer everywhere, if the live build has it: it may be of an older build. */
function select(layer: string): void {
  const isLive = liveBuild.value?.layers.some((each) => each.name === layer);
  if (isLive) selectedLayer.value = layer;
}

function LayerCells({ layer: { status, changes, a, b } }: { layer: LayerDiff }) {
  const shown = b ?? a;
  if (shown === null) return null;
  const number = (field: "parameters" | "multiply_adds") =>
    a && b && changes.includes(field) ? (
      <Both a={<Count of={a[field]} />} b={<Count of={b[field]} />} />
    ) : (
      <Count of={shown[field]} />
    );
  return (
    <>
      <td>
        <span class={`diff-sign diff-${status}`} title={status}>
          {SIGNS[status]}
        </span>
        <span class="visually-hidden">{status}</span>
      </td>
      <td title={a && b && a.name !== b.name ? `${a.name} → ${b.name}` : shown.name}>
        <span class="layer-name-parts mono">
          {status === "renamed" && a && b ? (
            <span class="layer-leaf">
              <Both a={a.name} b={b.name} />
            </span>
          ) : (
            <LayerName name={shown.name} />
          )}{" "}
          <span class="diff-op diff-same">
            {a && b && changes.includes("op") ? <Both a={a.op} b={b.op} /> : shown.op}
          </span>
        </span>
      </td>
      <td>
        {a && b && changes.includes("output_shape") ? (
          <Both a={shape(a.output_shape)} b={shape(b.output_shape)} />
        ) : (
          shape(shown.output_shape)
        )}
      </td>
      <td>{number("parameters")}</td>
      <td>{number("multiply_adds")}</td>
    </>
  );
}

function SettingCells({ setting, isAlone }: { setting: Setting; isAlone: boolean }) {
  const { layer, op, argument, a, b } = setting;
  return (
    <>
      <td>
        <span class="visually-hidden">changed argument</span>
      </td>
      <td colSpan={4}>
        {isAlone && <span class="mono">{layer} </span>}
        <span class="mono">
          {op}.{argument}
        </span>
        {": "}
        <Both a={<Value argument={a} />} b={<Value argument={b} />} />
      </td>
    </>
  );
}

function Value({ argument }: { argument: Setting["a"] }) {
  if (argument === null) return <em>not an argument here</em>;
  const setter = setterOf(argument);
  const where = argument.written_at ? `, at ${argument.written_at}` : "";
  const title = `${value(argument.value)}: set by ${setterName(setter)}${where}`;
  return (
    <span title={title}>
      <span class={`setter-mark ${setterClass(setter)}`} aria-hidden="true">
        {setterMark(setter) || "·"}
      </span>{" "}
      <span class="mono">{value(argument.value)}</span>
      <span class="visually-hidden"> set by {setterName(setter)}</span>
    </span>
  );
}

function Both({ a, b }: { a: ComponentChildren; b: ComponentChildren }) {
  return (
    <>
      <del>{a}</del> → <ins>{b}</ins>
    </>
  );
}

function Count({ of }: { of: number }) {
  return <span title={exact(of)}>{short(of)}</span>;
}
