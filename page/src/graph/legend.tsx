/** What the colours of the boxes say. */

import { hoveredLevel } from "../build/selection";
import { placeAttributes } from "../provenance/mark";
import { type Setter, setterClass, setterMark, setterName, setterOf } from "../provenance/setters";
import { exact } from "../ui/format";
import { HEATS, heatStart, OVERLAYS, type Overlay, type Scale } from "./paint";
import type { Tree } from "./tree";

export function SetterLegend({ tree, argument }: { tree: Tree; argument: string }) {
  const setters = new Map<string, Setter>();
  for (const layer of tree.layers.values()) {
    const given = layer.arguments.find((each) => each.name === argument);
    if (given) setters.set(setterName(setterOf(given)), setterOf(given));
  }
  const sorted = [...setters].sort(([, a], [, b]) => order(a) - order(b));
  return (
    <ul class="graph-legend" aria-label={`Who set ${argument}`}>
      {sorted.map(([name, setter]) => (
        <li key={name}>
          <SetterOf setter={setter} name={name} />
        </li>
      ))}
    </ul>
  );
}

function SetterOf({ setter, name }: { setter: Setter; name: string }) {
  const mark = (
    <span class={`setter-mark ${setterClass(setter)}`}>{setterMark(setter) || "·"}</span>
  );
  if (setter.by !== "level") {
    return (
      <>
        {mark} {name}
      </>
    );
  }
  const hover = (place: number | null) => () => {
    hoveredLevel.value = place;
  };
  return (
    <button
      type="button"
      class="quiet graph-legend-level"
      onPointerEnter={hover(setter.index)}
      onPointerLeave={hover(null)}
      onFocus={hover(setter.index)}
      onBlur={hover(null)}
      {...placeAttributes(setter)}
    >
      {mark} {name}
    </button>
  );
}

function order(setter: Setter): number {
  return setter.by === "level" ? setter.index : 1000;
}

export function ScaleLegend({ scale, overlay }: { scale: Scale | null; overlay: Overlay }) {
  const { title, format } = OVERLAYS[overlay];
  if (scale === null) return <p class="graph-legend">No box has any: {title.toLowerCase()}.</p>;
  const isOne = scale.least === scale.most;
  const heats = Array.from({ length: HEATS }, (_, heat) => heat).filter(
    (heat) => !isOne || heat === HEATS - 1,
  );
  return (
    <ul class="graph-legend graph-legend-scale" aria-label={`Colours of ${title.toLowerCase()}`}>
      {heats.map((heat) => {
        const start = isOne ? scale.least : heatStart(scale, heat);
        return (
          <li key={heat} class={`swatch heat-${heat}`} title={`from ${exact(start)}`}>
            ≥ {format(start)}
          </li>
        );
      })}
    </ul>
  );
}
