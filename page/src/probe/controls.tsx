/** What is shown of the signal, and the button that measures it. */

import { useState } from "preact/hooks";
import type { Spec } from "../spec/draft";
import { ProblemNote } from "../ui/problem";
import {
  chooseFigure,
  figure,
  isLog,
  isPinnedShown,
  otherBuild,
  setLog,
  shownModes,
} from "./curves";
import { FIGURES, MODES } from "./figures";
import { isMeasuring, type Measuring, measure, measuring, probes, stopMeasuring } from "./signals";

export function Controls({ build, spec }: { build: string; spec: Spec }) {
  return (
    <>
      <div class="probe-controls">
        <label>
          Figure{" "}
          <select
            value={figure.value}
            onChange={(event) => {
              const chosen = FIGURES.find((each) => each.id === event.currentTarget.value);
              if (chosen) chooseFigure(chosen.id);
            }}
          >
            {FIGURES.map(({ id, label }) => (
              <option key={id} value={id}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <Check label="logarithmic" checked={isLog.value} onChange={setLog} />
        {MODES.map((mode) => (
          <Check
            key={mode}
            label={mode}
            checked={shownModes.value.has(mode)}
            onChange={(isShown) => {
              const modes = new Set(shownModes.value);
              if (isShown) modes.add(mode);
              else modes.delete(mode);
              shownModes.value = modes;
            }}
          />
        ))}
        {otherBuild.value !== null && (
          <Check
            label="pinned build"
            checked={isPinnedShown.value}
            onChange={(isShown) => {
              isPinnedShown.value = isShown;
            }}
          />
        )}
      </div>
      <MeasureForm build={build} spec={spec} />
    </>
  );
}

function Check({
  label,
  checked,
  onChange,
}: {
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
}) {
  return (
    <label>
      <input
        type="checkbox"
        checked={checked}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      {label}
    </label>
  );
}

function MeasureForm({ build, spec }: { build: string; spec: Spec }) {
  const [rows, setRows] = useState("");
  const [seed, setSeed] = useState("0");
  const [picture, setPicture] = useState<File | null>(null);
  const current = measuring.value;
  const other = otherBuild.value;
  const request = { rows, seed, picture };
  return (
    <form
      class="measure"
      onSubmit={(event) => {
        event.preventDefault();
        void measure(build, spec, request);
      }}
    >
      <div class="probe-controls">
        {isMeasuring.value ? (
          <button type="button" onClick={stopMeasuring}>
            Stop waiting
          </button>
        ) : (
          <button type="submit" class="primary">
            {probes.value.has(build) ? "Measure again" : "Measure"}
          </button>
        )}
        {other !== null && !isMeasuring.value && !probes.value.has(other.id) && (
          <button type="button" onClick={() => void measure(other.id, other.spec, request)}>
            Measure the pinned build
          </button>
        )}
        {picture === null && (
          <label>
            Rows of noise{" "}
            <input
              type="text"
              inputMode="numeric"
              class="count"
              placeholder="8"
              value={rows}
              onInput={(event) => setRows(event.currentTarget.value)}
            />
          </label>
        )}
        <label>
          Seed{" "}
          <input
            type="text"
            inputMode="numeric"
            class="count"
            value={seed}
            onInput={(event) => setSeed(event.currentTarget.value)}
          />
        </label>
        <label>
          or a picture{" "}
          <input
            type="file"
            accept="image/jpeg,image/png,image/webp"
            onChange={(event) => setPicture(event.currentTarget.files?.[0] ?? null)}
          />
        </label>
      </div>
      <p class="hint">
        The predicted curve, dashed, needs no weights. Measuring sends rows through the network with
        the build's own weights, and keeps the build on the service, with a warning if its signal
        dies.
      </p>
      <div aria-live="polite">
        {current && current.state === "running" && <p>{workerText(current)}</p>}
      </div>
      {current?.problem && (
        <ProblemNote problem={current.problem} retry={() => void measure(build, spec, request)} />
      )}
    </form>
  );
}

function workerText({ worker }: Measuring): string {
  if (worker === undefined) return "Measuring …";
  switch (worker.state) {
    case "starting":
      return "The worker is starting: the measurement waits for it …";
    case "restarting":
      return `The worker is restarting: ${worker.reason ?? "it ended"} …`;
    case "stopped":
      return `The worker has stopped: ${worker.reason ?? "the service is ending"}.`;
    case "ready":
      return worker.queued > 0
        ? `The worker is ready; ${worker.queued} requests wait before or with this one …`
        : "The worker is ready and measures: it loads the network first, which takes a while …";
  }
}
