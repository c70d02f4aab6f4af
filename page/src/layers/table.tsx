/** The table of layers: a grid in which only the rows in view are rendered. */

import type { TargetedEvent } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Layer } from "../build/live";
import { hoveredLayer, selectedLayer } from "../build/selection";
import { inspect, isInspecting, leadsToLevel, stopInspecting } from "../provenance/inspect";
import { useVirtualRows } from "../ui/virtual";
import { VirtualBody } from "../ui/virtual_body";
import type { Column } from "./columns";
import { Head } from "./head";
import { nameWidth } from "./name_width";
import { Row } from "./row";
import type { Sort } from "./rows";
import "./layers.css";

/** As `--row` and `--head` of layers.css have them, in pixels. */
const ROW = 28;
const HEAD = 30;

export function LayerTable({
  rows,
  root,
  columns,
  largest,
  sort,
  sortBy,
}: {
  rows: readonly Layer[];
  root: string;
  columns: readonly Column[];
  largest: ReadonlyMap<string, number>;
  sort: Sort;
  sortBy: (sort: Sort) => void;
}) {
  const scroller = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState({ layer: "", column: "name" });
  const places = useMemo(() => new Map(rows.map((layer, index) => [layer.name, index])), [rows]);
  const activeIndex = places.get(active.layer) ?? 0;
  const activeColumn = columns.some((each) => each.id === active.column) ? active.column : "name";
  const { indices, show, perPage } = useVirtualRows(scroller, rows.length, ROW, HEAD, activeIndex);

  // The cell that a key leads to may be rendered only after the table has scrolled.
  const isMoving = useRef(false);
  useLayoutEffect(() => {
    const cell = scroller.current?.querySelector<HTMLElement>("tbody [tabindex='0']");
    if (!isMoving.current || !cell) return;
    isMoving.current = false;
    cell.focus({ preventScroll: true });
    cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  });

  const selected = selectedLayer.value;
  const selectedIndex = selected === null ? undefined : places.get(selected);
  useEffect(() => {
    if (selected === null || selectedIndex === undefined) return;
    setActive((before) => ({ ...before, layer: selected }));
    show(selectedIndex);
  }, [selected, selectedIndex === undefined]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (!(target instanceof Element) || target.closest("tbody") === null) return;
    const ids = ["name", ...columns.map((each) => each.id)];
    const at = ids.indexOf(activeColumn);
    const rowSteps: Record<string, number> = {
      ArrowDown: activeIndex + 1,
      ArrowUp: activeIndex - 1,
      PageDown: activeIndex + perPage,
      PageUp: activeIndex - perPage,
      Home: 0,
      End: rows.length - 1,
    };
    const columnSteps: Record<string, number> = { ArrowRight: at + 1, ArrowLeft: at - 1 };
    const row = rowSteps[event.key];
    const column = columnSteps[event.key];
    if (event.key === "Enter") openAt(target);
    else if (event.key === "Escape" && isInspecting.peek()) stopInspecting();
    else if (row !== undefined || column !== undefined) {
      const index = Math.min(Math.max(row ?? activeIndex, 0), rows.length - 1);
      const id = ids[Math.min(Math.max(column ?? at, 0), ids.length - 1)] ?? "name";
      isMoving.current = true;
      setActive({ layer: rows[index]?.name ?? "", column: id });
      show(index);
    } else return;
    event.preventDefault();
  };
  const onFocus = (event: TargetedEvent<HTMLElement, FocusEvent>) => {
    const place = placeOf(event.target);
    if (place) setActive({ layer: place.layer, column: place.column });
  };
  const onOver = (event: PointerEvent) => {
    hoveredLayer.value = placeOf(event.target)?.layer ?? null;
  };

  const others = columns.reduce((sum, column) => sum + column.width, 0);
  return (
    <div
      class="layers-scroll"
      ref={scroller}
      style={{ "--wanted-name": nameWidth.value, "--others": `${others}ch` }}
    >
      <table
        // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: a table whose cells take the focus is a grid
        role="grid"
        class="layer-table"
        aria-label="Layers"
        aria-rowcount={rows.length + 1}
        onKeyDown={onKeyDown}
        onFocusCapture={onFocus}
        onClick={(event) => !leadsToLevel(event.target) && openAt(event.target)}
        onPointerOver={onOver}
        onPointerLeave={() => {
          hoveredLayer.value = null;
        }}
      >
        <colgroup>
          <col class="layer-name-column" />
          {columns.map((column) => (
            <col key={column.id} style={{ width: `${column.width}ch` }} />
          ))}
        </colgroup>
        <Head root={root} columns={columns} sort={sort} sortBy={sortBy} />
        <VirtualBody
          indices={indices}
          count={rows.length}
          height={ROW}
          row={(index) => {
            const layer = rows[index];
            return layer === undefined ? null : (
              <Row
                key={layer.name}
                layer={layer}
                index={index}
                root={root}
                columns={columns}
                largest={largest}
                active={index === activeIndex ? activeColumn : null}
              />
            );
          }}
        />
      </table>
    </div>
  );
}

/** Returns the layer and the column of the cell that an event came from. */
function placeOf(target: EventTarget | null) {
  if (!(target instanceof Element)) return null;
  const cell = target.closest<HTMLElement>("[data-column]");
  const layer = target.closest<HTMLElement>("[data-layer]")?.dataset.layer;
  if (layer === undefined) return null;
  return { layer, column: cell?.dataset.column ?? "name", op: cell?.dataset.op };
}

function openAt(target: EventTarget | null): void {
  const place = placeOf(target);
  if (place === null) return;
  const argument = /^argument:(.*)$/.exec(place.column)?.[1];
  inspect(place.layer, place.op && argument ? { op: place.op, argument } : null);
}
