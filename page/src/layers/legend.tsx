/** What the marks of the arguments mean; a level's mark shows the layers that it reaches. */

import { liveBuild } from "../build/live";
import { hoveredLevel } from "../build/selection";
import { SetterMark } from "../provenance/mark";
import type { Setter } from "../provenance/setters";

const OTHERS: readonly [Setter, string][] = [
  [{ by: "network" }, "the network"],
  [{ by: "default_scope" }, "the default scope"],
];

export function Legend() {
  const levels = liveBuild.value?.spec.scopes ?? [];
  const hover = (place: number | null) => () => {
    hoveredLevel.value = place;
  };
  return (
    <div class="legend">
      <span class="legend-title">Set by</span>
      <span class="legend-item">no mark: the op's default</span>
      {OTHERS.map(([setter, name]) => (
        <span key={name} class="legend-item">
          <SetterMark setter={setter} /> {name}
        </span>
      ))}
      {levels.map((level, index) => (
        <button
          key={index}
          type="button"
          class="quiet legend-item"
          title={`${JSON.stringify(level)}: show it in the editor`}
          onPointerEnter={hover(index)}
          onPointerLeave={hover(null)}
          onFocus={hover(index)}
          onBlur={hover(null)}
          data-place={index}
        >
          <span aria-hidden="true">
            <SetterMark setter={{ by: "level", index }} />
          </span>
          level {index}
        </button>
      ))}
      <span class="legend-item">
        <span class="setter-mark is-beaten set-by-default">0</span> beaten there
      </span>
    </div>
  );
}
