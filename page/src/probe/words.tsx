/** The verdicts of a probe in words, and the numbers of the layer that is pointed at. */

import type { Schemas } from "../api/client";
import { hoveredLayer, selectedLayer } from "../build/selection";
import { significant } from "../ui/significant";
import { curves, figure } from "./curves";
import { FIGURES, MODES } from "./figures";
import { predictions, probes } from "./signals";

export function Verdicts({ build }: { build: string }) {
  const probe = probes.value.get(build);
  const predicted = predictions.value.get(build);
  return (
    <div class="verdicts" aria-live="polite">
      {MODES.map((mode) => {
        const signal = predicted?.signals[mode];
        if (signal === undefined) return null;
        return <p key={mode}>{predictedText(mode, signal)}</p>;
      })}
      {probe && (
        <>
          <p>
            <strong>
              {probe.healthy
                ? "Measured: the signal is healthy"
                : "Measured: the signal is not healthy"}
            </strong>
            , on {probe.rows} {probe.rows === 1 ? "row" : "rows"}{" "}
            {probe.input === "normal" ? "of normal noise" : `of ${probe.input}`}. Dropout is{" "}
            {probe.dropout}.
          </p>
          {probe.verdicts.length > 0 && (
            <ul>
              {probe.verdicts.map((verdict) => (
                <li key={verdict.mode + verdict.verdict}>
                  <button
                    type="button"
                    onClick={() => {
                      selectedLayer.value = verdict.layer;
                    }}
                  >
                    {verdict.verdict}, {verdict.mode}
                  </button>{" "}
                  {verdict.message}
                </li>
              ))}
            </ul>
          )}
          {probe.warnings.map((warning) => (
            <p key={warning}>{warning}</p>
          ))}
        </>
      )}
    </div>
  );
}

function predictedText(mode: string, signal: Schemas["PredictedSignal"]): string {
  if (signal.predicted_gain === null) {
    return `Predicted, ${mode}: no gain. ${signal.reason ?? ""}`;
  }
  const factor = signal.spread === null ? "" : `, within a factor of ${significant(signal.spread)}`;
  return `Predicted, ${mode}: the scores are ${significant(signal.predicted_gain)} times the input${factor}.`;
}

/** The numbers of the layer under the pointer, or of the selected one. */
export function LayerNumbers() {
  const layer = hoveredLayer.value ?? selectedLayer.value;
  const label = FIGURES.find((each) => each.id === figure.value)?.label;
  return (
    <p class="layer-numbers">
      {layer === null ? (
        <span class="hint">Point at the plot to see a layer; click to select it.</span>
      ) : (
        <>
          <strong>{layer}</strong>, {label}:{" "}
          {curves.value
            .map((curve) => {
              const value = curve.values[curve.layers.indexOf(layer)];
              const pinned = curve.build === "pinned" ? " (pinned)" : "";
              return `${curve.source} in ${curve.mode}${pinned} ${value == null ? "–" : significant(value)}`;
            })
            .join("; ")}
        </>
      )}
    </p>
  );
}
