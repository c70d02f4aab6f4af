/** The warnings of the live build: each leads to its level, and to the layers that it is about. */

import { useEffect } from "preact/hooks";
import { liveBuild, report, want } from "../build/live";
import { markedLayers } from "../build/selection";
import { focusPlace } from "../provenance/inspect";
import { counted, exact } from "../ui/format";
import { Popover } from "../ui/popover";
import { pane, tab } from "../ui/view";
import { parseWarning, type Warning, warnedLayers } from "./spoken";

export function Warnings() {
  const texts = liveBuild.value?.warnings ?? [];
  if (texts.length === 0) {
    return (
      <button type="button" class="warnings-button" disabled>
        No warnings
      </button>
    );
  }
  return (
    <Popover
      class="warnings-popover"
      label="Warnings"
      button={
        <>
          <span class="warning-sign" aria-hidden="true">
            !
          </span>
          {counted(texts.length, "warning")}
        </>
      }
    >
      {(close) => <WarningList texts={texts} close={close} />}
    </Popover>
  );
}

function WarningList({ texts, close }: { texts: readonly string[]; close: () => void }) {
  useEffect(() => want("explanation"), []);
  return (
    <ul class="warning-list">
      {texts.map((text) => (
        <WarningItem key={text} warning={parseWarning(text)} close={close} />
      ))}
    </ul>
  );
}

function WarningItem({ warning, close }: { warning: Warning; close: () => void }) {
  const { place, pointer, sentence } = warning;
  const names = liveBuild.value?.layers.map((layer) => layer.name) ?? [];
  const layers = warnedLayers(warning, report("explanation")?.calls ?? [], names);
  const mark = () => {
    markedLayers.value = layers;
    tab.value = "layers";
    pane.value = "results";
    close();
  };
  const goToLevel = (place: number) => {
    markedLayers.value = layers;
    close();
    focusPlace(place);
  };
  return (
    <li>
      <p>
        {pointer && <code>{pointer}</code>} {sentence}
      </p>
      <p class="warning-actions">
        {place !== null && (
          <button type="button" onClick={() => goToLevel(place)}>
            Edit level {place}
          </button>
        )}
        {layers.size > 0 && (
          <button type="button" onClick={mark}>
            Mark its {layers.size === 1 ? "layer" : `${exact(layers.size)} layers`}
          </button>
        )}
      </p>
    </li>
  );
}
