/** The body of a table of which only the rows in view are rendered: gaps stand for the others. */

import { Fragment, type VNode } from "preact";

export function VirtualBody({
  indices,
  count,
  height,
  columns,
  row,
}: {
  indices: readonly number[];
  count: number;
  height: number;
  columns: number;
  row: (index: number) => VNode | null;
}) {
  const last = indices.at(-1) ?? -1;
  return (
    <tbody>
      {indices.map((index, place) => {
        const missing = index - (indices[place - 1] ?? -1) - 1;
        return (
          <Fragment key={index}>
            <Gap rows={missing} height={height} columns={columns} />
            {row(index)}
          </Fragment>
        );
      })}
      <Gap rows={count - 1 - last} height={height} columns={columns} />
    </tbody>
  );
}

function Gap({ rows, height, columns }: { rows: number; height: number; columns: number }) {
  if (rows <= 0) return null;
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: a row is not focusable
    <tr class="gap" aria-hidden="true" style={{ height: `${rows * height}px` }}>
      <td colSpan={columns} />
    </tr>
  );
}
