/** The presets as cards. */

import { draft, open, specOf } from "../spec/draft";
import { PRESETS, type Preset } from "./presets";
import { closeStart } from "./start";

export function Presets() {
  const current = JSON.stringify(specOf(draft.value));
  return (
    <ul class="presets">
      {PRESETS.map((preset) => (
        <li key={preset.title}>
          <PresetCard preset={preset} isCurrent={JSON.stringify(preset.spec) === current} />
        </li>
      ))}
    </ul>
  );
}

function PresetCard({ preset, isCurrent }: { preset: Preset; isCurrent: boolean }) {
  const levels = preset.spec.scopes?.length ?? 0;
  return (
    <button
      type="button"
      class="preset"
      aria-current={isCurrent}
      onClick={() => {
        open(preset.spec);
        closeStart();
      }}
    >
      <strong>{preset.title}</strong>
      <span>{preset.sentence}</span>
      <span class="preset-facts">
        <code>{String(preset.spec.architecture)}</code>
        <span>{levels === 0 ? "no levels" : levels === 1 ? "1 level" : `${levels} levels`}</span>
      </span>
    </button>
  );
}
