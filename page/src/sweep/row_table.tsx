/** The rows of a sweep as a table: the keyboard's way to what the plots show. */

import { useEffect, useMemo, useRef } from "preact/hooks";
import { useVirtualRows } from "../ui/virtual";
import { VirtualBody } from "../ui/virtual_body";
import { type Column, precise } from "./columns";
import { type Row, rows } from "./run";
import { columns, hoveredRow, order, selectedRow, sortBy, sortedRows } from "./selection";

const ROW_HEIGHT = 28;
// As many rows as the table shows without scrolling, by its style sheet.
const ROWS_IN_SIGHT = 14;
// A line of text of the mono font takes about so many pixels a character.
const CHARACTER = 7.5;
// "−1.23e-16" and "1.23 MB": figures have three digits.
const FIGURE_LENGTH = 9;

export function RowTable({ front }: { front: ReadonlySet<number> }) {
  const scroller = useRef<HTMLDivElement>(null);
  const shown = sortedRows.value;
  // The table keeps its height while bounds hide rows: what lies above would move as it shrinks, and
  // with it the axis that is dragged on.
  const height = (Math.min(rows.value.length, ROWS_IN_SIGHT) + 1) * ROW_HEIGHT;
  const widths = useMemo(
    () => columns.value.map((column) => widthOf(column, rows.value)),
    [columns.value, rows.value],
  );
  const current = Math.max(
    0,
    shown.findIndex((row) => row.index === selectedRow.value),
  );
  const { indices, show, perPage } = useVirtualRows(
    scroller,
    shown.length,
    ROW_HEIGHT,
    ROW_HEIGHT,
    current,
  );
  const focusOnScroll = useRef(false);
  useEffect(() => {
    if (selectedRow.value !== null) show(current);
  }, [selectedRow.value]);
  useEffect(() => {
    if (!focusOnScroll.current) return;
    const row = scroller.current?.querySelector<HTMLElement>(`tr[data-row="${selectedRow.value}"]`);
    if (row) {
      focusOnScroll.current = false;
      row.focus({ preventScroll: true });
    }
  });
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Record<string, number> = {
      ArrowDown: current + 1,
      ArrowUp: current - 1,
      PageDown: current + perPage,
      PageUp: current - perPage,
      Home: 0,
      End: shown.length - 1,
    };
    const step = steps[event.key];
    if (step === undefined || !(event.target as HTMLElement).matches("tbody tr")) return;
    event.preventDefault();
    const target = shown[Math.min(Math.max(step, 0), shown.length - 1)];
    if (target) {
      focusOnScroll.current = true;
      selectedRow.value = target.index;
    }
  };
  return (
    <div class="sweep-table" ref={scroller} style={{ minHeight: `${height}px` }}>
      <table
        // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: a grid is a table whose rows can be selected
        role="grid"
        onKeyDown={onKeyDown}
        aria-label="Rows of the sweep"
        aria-rowcount={shown.length + 1}
        aria-describedby="sweep-table-help"
      >
        <colgroup>
          <col style={{ width: "64px" }} />
          <col style={{ width: "84px" }} />
          {widths.map((width, index) => (
            <col key={columns.value[index]?.id} style={{ width: `${width}px` }} />
          ))}
        </colgroup>
        <thead>
          <tr aria-rowindex={1}>
            <Header id="index" label="Row" />
            <Header id="status" label="Status" />
            {columns.value.map((column) => (
              <Header key={column.id} id={column.id} label={column.label} />
            ))}
          </tr>
        </thead>
        <VirtualBody
          indices={indices}
          count={shown.length}
          height={ROW_HEIGHT}
          row={(index) => {
            const row = shown[index];
            return row === undefined ? null : (
              <TableRow
                key={row.index}
                row={row}
                position={index + 2}
                isFront={front.has(row.index)}
                isFocusable={index === current}
              />
            );
          }}
        />
      </table>
    </div>
  );
}

function Header({ id, label }: { id: string; label: string }) {
  const { column, isDescending } = order.value;
  const direction = column !== id ? "none" : isDescending ? "descending" : "ascending";
  return (
    <th scope="col" aria-sort={direction} title={label}>
      <button type="button" class="quiet" onClick={() => sortBy(id)}>
        <span>{label}</span>
        <span aria-hidden="true">{{ none: "", ascending: "▲", descending: "▼" }[direction]}</span>
      </button>
    </th>
  );
}

function TableRow({
  row,
  position,
  isFront,
  isFocusable,
}: {
  row: Row;
  position: number;
  isFront: boolean;
  isFocusable: boolean;
}) {
  const select = () => {
    selectedRow.value = row.index;
  };
  return (
    <tr
      data-row={row.index}
      aria-rowindex={position}
      aria-selected={selectedRow.value === row.index}
      class={hoveredRow.value === row.index ? "is-hovered" : ""}
      tabIndex={isFocusable ? 0 : -1}
      onClick={select}
      onFocus={select}
      onPointerEnter={() => {
        hoveredRow.value = row.index;
      }}
      onPointerLeave={() => {
        hoveredRow.value = null;
      }}
    >
      <td class="number">{row.index}</td>
      <td class={`status-${row.status}`}>{isFront ? `★ ${row.status}` : row.status}</td>
      <Cells row={row} />
    </tr>
  );
}

function Cells({ row }: { row: Row }) {
  // A refused row has its problem where the others have figures.
  const all = columns.value;
  const isRefused = row.status === "refused";
  const axes = isRefused ? all.filter((column) => column.kind === "axis") : all;
  return (
    <>
      {axes.map((column) => {
        const value = column.of(row);
        return (
          <td
            key={column.id}
            class={typeof value === "number" ? "number" : ""}
            title={value === undefined ? lackOf(row, column) : precise(value)}
          >
            {value === undefined ? "–" : column.text(value)}
          </td>
        );
      })}
      {isRefused && axes.length < all.length && (
        <td colSpan={all.length - axes.length} class="problem" title={problemText(row)}>
          {problemText(row)}
        </td>
      )}
    </>
  );
}

export function problemText(row: Row): string {
  const { problem } = row;
  if (!problem) return "The service gives no reason.";
  const more = problem.more > 0 ? ` And ${problem.more} more.` : "";
  const place = problem.pointer || problem.layer;
  return `${place ? `${place}: ` : ""}${problem.message}${more}`;
}

/** Says why a row has no value. */
function lackOf(row: Row, column: Column): string {
  return column.id === "predicted_gain"
    ? (row.predicted?.unpredictable ?? "not predicted")
    : "this row has none";
}

function widthOf(column: Column, all: readonly Row[]): number {
  let longest = Math.max(column.label.length + 2, FIGURE_LENGTH);
  if (column.kind === "figure") return Math.round(longest * CHARACTER) + 24;
  for (const row of all) longest = Math.max(longest, column.text(column.of(row)).length);
  return Math.round(Math.min(longest, 34) * CHARACTER) + 24;
}
