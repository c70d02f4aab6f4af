/** The selected row: what it is, and what can be done with it. */

import { pinned } from "../build/history";
import { showDiffToPinned } from "../compare/sides";
import { open } from "../spec/draft";
import { pane } from "../ui/view";
import { precise } from "./columns";
import { front } from "./objectives";
import { withValues } from "./pointers";
import { problemText } from "./row_table";
import { type Row, run } from "./run";
import { columns, hoveredRow, rowAt, selectedRow } from "./selection";

export function RowCard() {
  const row = rowAt(hoveredRow.value) ?? rowAt(selectedRow.value);
  const selected = rowAt(selectedRow.value);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must take the arrow keys
    <section class="row-card" aria-label="Selected row" id="sweep-table-help" tabIndex={0}>
      {row === undefined ? (
        <p class="hint">
          Point at a row in the table or in a plot to see it in all of them; click, or use the arrow
          keys in the table, to select it.
        </p>
      ) : (
        <Facts row={row} />
      )}
      {selected && <Actions row={selected} />}
    </section>
  );
}

function Facts({ row }: { row: Row }) {
  const isOnFront = front.value.has(row.index);
  return (
    <>
      <p class="row-title">
        <strong>Row {row.index}</strong> {row.status}
        {isOnFront && ", on the Pareto front"}
        {row.duplicate_of !== null && row.duplicate_of !== undefined && (
          <> of row {row.duplicate_of}</>
        )}
        {row.warnings > 0 && `, ${row.warnings} ${row.warnings === 1 ? "warning" : "warnings"}`}
      </p>
      {row.problem && <p class="row-problem">{problemText(row)}</p>}
      <dl>
        {columns.value.map((column) => {
          const value = column.of(row);
          if (value === undefined) return null;
          return (
            <div key={column.id}>
              <dt>{column.label}</dt>
              <dd title={precise(value)}>{column.text(value)}</dd>
            </div>
          );
        })}
      </dl>
      {row.predicted?.unpredictable && <p>No predicted gain: {row.predicted.unpredictable}</p>}
    </>
  );
}

function Actions({ row }: { row: Row }) {
  const spec = () => withValues(run.value?.document.spec ?? {}, row.values);
  const isRefused = row.status === "refused";
  return (
    <div class="row-actions">
      <button
        type="button"
        onClick={() => {
          open(spec());
          pane.value = "editor";
        }}
      >
        Open row {row.index} in the editor
      </button>
      <button
        type="button"
        disabled={isRefused || pinned.value === null}
        title={isRefused ? "A refused row has nothing to compare." : "Opens it in the editor too."}
        onClick={() => {
          open(spec());
          showDiffToPinned();
        }}
      >
        Compare it with the pinned build
      </button>
    </div>
  );
}
