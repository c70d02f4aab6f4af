/** The head of the table: each column's name sorts by it. */

import type { ComponentChildren } from "preact";
import { type Column, FACTS } from "./columns";
import { NameWidthHandle } from "./name_width";
import type { Sort } from "./rows";

export function Head({
  root,
  columns,
  sort,
  sortBy,
}: {
  root: string;
  columns: readonly Column[];
  sort: Sort;
  sortBy: (sort: Sort) => void;
}) {
  return (
    <thead>
      <tr aria-rowindex={1}>
        <HeadCell id="name" hint="Layers in the order of the network" sort={sort} sortBy={sortBy}>
          Layer{root && <span class="layer-root"> in {root}</span>}
        </HeadCell>
        {columns.map((column) => (
          <HeadCell
            key={column.id}
            id={column.id}
            hint={column.hint}
            isNumber={column.kind === "fact" && column.sum !== undefined}
            sort={sort}
            sortBy={sortBy}
          >
            {column.title}
          </HeadCell>
        ))}
      </tr>
    </thead>
  );
}

function HeadCell({
  id,
  hint,
  isNumber = false,
  sort,
  sortBy,
  children,
}: {
  id: string;
  hint: string;
  isNumber?: boolean;
  sort: Sort;
  sortBy: (sort: Sort) => void;
  children: ComponentChildren;
}) {
  const own = sort?.column === id ? sort : null;
  const ordered = own === null ? "none" : own.descending ? "descending" : "ascending";
  return (
    <th
      scope="col"
      aria-sort={ordered}
      class={`${isNumber ? "number-cell" : ""} ${id === "name" ? "layer-name" : ""}`}
    >
      <button
        type="button"
        class="quiet"
        title={`${hint}. Sort by it`}
        onClick={() => sortBy(next(id, own))}
      >
        <span class="head-title">{children}</span>
        <span class="sort-sign" aria-hidden="true">
          {own === null ? "" : own.descending ? "↓" : "↑"}
        </span>
      </button>
      {id === "name" && <NameWidthHandle />}
    </th>
  );
}

/** Numbers begin with the largest, texts with the first; the third time restores the order. */
function next(column: string, own: Sort): Sort {
  const descendsFirst = FACTS.some((fact) => fact.id === column && fact.id !== "op");
  if (own === null) return { column, descending: descendsFirst };
  return own.descending === descendsFirst ? { column, descending: !descendsFirst } : null;
}
