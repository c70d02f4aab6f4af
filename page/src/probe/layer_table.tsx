/** The curves as a table: the keyboard's way to the layers. */

import { useEffect, useRef } from "preact/hooks";
import { hoveredLayer, selectedLayer } from "../build/selection";
import { significant } from "../ui/significant";
import { useVirtualRows } from "../ui/virtual";
import { VirtualBody } from "../ui/virtual_body";
import { curves, layerNames } from "./curves";
import { curveName } from "./figures";

const ROW_HEIGHT = 28;

export function LayerTable() {
  const scroller = useRef<HTMLDivElement>(null);
  const names = layerNames.value;
  const shown = curves.value.map((curve) => ({
    curve,
    values: new Map(curve.layers.map((layer, index) => [layer, curve.values[index]])),
  }));
  const current = Math.max(0, names.indexOf(selectedLayer.value ?? ""));
  const { indices, show } = useVirtualRows(scroller, names.length, ROW_HEIGHT, ROW_HEIGHT, current);
  const hasToFocus = useRef(false);
  useEffect(() => {
    if (selectedLayer.value !== null) show(current);
  }, [selectedLayer.value]);
  useEffect(() => {
    if (!hasToFocus.current) return;
    const row = scroller.current?.querySelector<HTMLElement>(`tr[data-row="${current}"]`);
    hasToFocus.current = row === null || row === undefined;
    row?.focus({ preventScroll: true });
  });
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Record<string, number> = {
      ArrowDown: current + 1,
      ArrowUp: current - 1,
      Home: 0,
      End: names.length - 1,
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    hasToFocus.current = true;
    selectedLayer.value = names[Math.min(Math.max(step, 0), names.length - 1)] ?? null;
  };
  return (
    <div class="probe-table" ref={scroller}>
      <table
        // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: a grid is a table whose rows can be selected
        role="grid"
        aria-label="Layers"
        aria-rowcount={names.length + 1}
        onKeyDown={onKeyDown}
      >
        <thead>
          <tr aria-rowindex={1}>
            <th scope="col">Layer</th>
            {shown.map(({ curve }) => (
              <th key={curveName(curve)} scope="col">
                {curveName(curve)}
              </th>
            ))}
          </tr>
        </thead>
        <VirtualBody
          indices={indices}
          count={names.length}
          height={ROW_HEIGHT}
          row={(index) => {
            const name = names[index] ?? "";
            const select = () => {
              selectedLayer.value = name;
            };
            return (
              <tr
                key={name}
                data-row={index}
                aria-rowindex={index + 2}
                aria-selected={selectedLayer.value === name}
                class={hoveredLayer.value === name ? "is-hovered" : ""}
                tabIndex={index === current ? 0 : -1}
                onClick={select}
                onPointerEnter={() => {
                  hoveredLayer.value = name;
                }}
                onPointerLeave={() => {
                  hoveredLayer.value = null;
                }}
              >
                <th scope="row" title={name}>
                  {name}
                </th>
                {shown.map(({ curve, values }) => {
                  const value = values.get(name);
                  return (
                    <td key={curveName(curve)} title={value == null ? "no number" : String(value)}>
                      {value == null ? "–" : significant(value)}
                    </td>
                  );
                })}
              </tr>
            );
          }}
        />
      </table>
    </div>
  );
}
