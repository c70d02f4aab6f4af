/** A row of the table: one layer, and who set its arguments. */

import { useComputed } from "@preact/signals";
import type { Layer } from "../build/live";
import { hoveredLayer, hoveredLevel, markedLayers, selectedLayer } from "../build/selection";
import { fateOf } from "../provenance/fate";
import { SetValue } from "../provenance/mark";
import { callsByLayer } from "../provenance/setters";
import { LayerName } from "../ui/layer_name";
import type { Column } from "./columns";
import { argumentOf } from "./rows";

/** The sign of a row, and what it says; without a hovered level or marks there is none. */
const SIGNS = {
  won: ["✓", "the level sets an argument here"],
  lost: ["✗", "the level is beaten here"],
  both: ["±", "the level sets an argument here, and is beaten at another"],
  marked: ["!", "a warning or a comparison is about this layer"],
  none: ["", ""],
} as const;

export function Row({
  layer,
  index,
  root,
  columns,
  largest,
  active,
}: {
  layer: Layer;
  index: number;
  /** The scope of all layers, which is not repeated. */
  root: string;
  columns: readonly Column[];
  /** The largest value in each column with bars. */
  largest: ReadonlyMap<string, number>;
  /** The column whose cell takes the focus; null if another row has it. */
  active: string | null;
}) {
  const { name } = layer;
  const fate = useComputed(() => fateOf(name, hoveredLevel.value));
  const isMarked = useComputed(() => markedLayers.value.has(name));
  const isSelected = useComputed(() => selectedLayer.value === name);
  const isHovered = useComputed(() => hoveredLayer.value === name);
  const sign = fate.value !== "none" && fate.value !== "out" ? fate.value : null;
  const [mark, says] = SIGNS[sign ?? (isMarked.value ? "marked" : "none")];
  const classes = [
    "layer-row",
    `fate-${fate.value}`,
    isMarked.value && "is-marked",
    isHovered.value && "is-hovered",
  ];
  const calls = callsByLayer.value.get(name);
  // Until the explanation has come, a cell that is chosen stands for an argument of the layer's op.
  const isAwaited = callsByLayer.value.size === 0;
  return (
    <tr
      class={classes.filter(Boolean).join(" ")}
      aria-rowindex={index + 2}
      aria-selected={isSelected.value}
      data-layer={name}
    >
      <th
        scope="row"
        class="layer-name"
        title={name}
        data-column="name"
        tabIndex={active === "name" ? 0 : -1}
      >
        <span class="layer-name-parts">
          <span class="layer-sign" title={says}>
            {mark}
            {says && <span class="visually-hidden">{says}: </span>}
          </span>
          <LayerName name={name.startsWith(root) ? name.slice(root.length) : name} />
        </span>
      </th>
      {columns.map((column) => {
        const tabIndex = active === column.id ? 0 : -1;
        if (column.kind === "argument") {
          const found = argumentOf(calls, column.title);
          return (
            <td
              key={column.id}
              class="argument-cell"
              data-column={column.id}
              data-op={found ? found.call.op : isAwaited ? layer.op : undefined}
              tabIndex={tabIndex}
            >
              {found && <SetValue argument={found.argument} />}
            </td>
          );
        }
        const sum = column.sum?.(layer);
        const share = sum ? (100 * sum) / (largest.get(column.id) || 1) : 0;
        return (
          <td
            key={column.id}
            class={column.sum ? "number-cell" : "fact-cell"}
            title={(column.full ?? column.text)(layer)}
            data-column={column.id}
            tabIndex={tabIndex}
            style={share ? { backgroundSize: `${share.toFixed(1)}% 100%` } : undefined}
          >
            {column.text(layer)}
          </td>
        );
      })}
    </tr>
  );
}
