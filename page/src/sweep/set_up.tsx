/** The sweep that is set up: its axes and options, what it would trace, and the button that runs it. */

import { useId } from "preact/hooks";
import { retryProblems } from "../catalogue/catalogue";
import { draft } from "../spec/draft";
import { ProblemNote } from "../ui/problem";
import { addAxis, axes, options, placedAxes, type SweepOptions, takenPlaces } from "./axes";
import { AxisForm } from "./axis_form";
import { catalogueProblem, descriptions } from "./catalogue";
import { axisPointer, lostAxes, sweepDocument } from "./document";
import { DocumentView } from "./document_view";
import { placeId, placesOf } from "./places";
import { plan, planProblem } from "./plan";
import { endRun, run, startRun } from "./run";
import { resetSelection } from "./selection";

export function SetUp() {
  const all = axes.value;
  const mistakes = planProblem.value?.errors ?? [];
  const mistakesAt = (key: string) => {
    const pointer = axisPointer(placedAxes.value, key);
    return mistakes.filter(
      (each) =>
        pointer !== undefined &&
        (each.pointer === pointer || each.pointer.startsWith(`${pointer}/`)),
    );
  };
  const told = new Set(all.flatMap((axis) => mistakesAt(axis.key)));
  const others = mistakes.filter((each) => !told.has(each));
  return (
    <section class="set-up" aria-label="Set up a sweep">
      {all.length === 0 && (
        <p class="sweep-intro">
          A sweep traces many builds of the spec in the editor that differ along axes. Choose what
          varies: each axis is one place in the spec, and each combination of their values is a row.
        </p>
      )}
      <ol class="axes">
        {all.map((axis, index) => (
          <AxisForm
            key={axis.key}
            axis={axis}
            index={index}
            count={all.length}
            isLost={lostAxes.value.has(axis.key)}
            mistakes={mistakesAt(axis.key)}
          />
        ))}
      </ol>
      {catalogueProblem.value && (
        <ProblemNote problem={catalogueProblem.value} retry={retryProblems} />
      )}
      <PlacePicker />
      {all.length > 0 && (
        <>
          <Options />
          {planProblem.value && (others.length > 0 || told.size === 0) && (
            <ProblemNote problem={{ ...planProblem.value, errors: others }} />
          )}
          <RunBar />
          <DocumentView />
        </>
      )}
    </section>
  );
}

function PlacePicker() {
  const id = useId();
  const places = placesOf(draft.value, descriptions.value);
  const groups = new Map(places.map((place) => [place.group, [] as typeof places]));
  for (const place of places) {
    if (!takenPlaces.value.has(placeId(place))) groups.get(place.group)?.push(place);
  }
  return (
    <div class="place-picker">
      <label for={id}>Add an axis</label>
      <select
        id={id}
        value=""
        onChange={(event) => {
          const place = places.find((each) => placeId(each) === event.currentTarget.value);
          event.currentTarget.value = "";
          if (place) addAxis(place);
        }}
      >
        <option value="">Choose a place in the spec …</option>
        {Array.from(groups, ([group, members]) => (
          <optgroup key={group} label={group}>
            {members.map((place) => (
              <option key={placeId(place)} value={placeId(place)}>
                {place.label}
              </option>
            ))}
          </optgroup>
        ))}
      </select>
    </div>
  );
}

function Options() {
  const chosen = options.value;
  const set = (change: Partial<SweepOptions>) => {
    options.value = { ...chosen, ...change };
  };
  const isRandom = chosen.method === "random";
  const isDrawn = isRandom || axes.value.some((axis) => axis.values.kind === "draws");
  return (
    <div class="sweep-options">
      <label>
        Rows
        <select
          value={chosen.method}
          onChange={(event) =>
            set({ method: event.currentTarget.value === "random" ? "random" : "grid" })
          }
        >
          <option value="grid">every combination</option>
          <option value="random">combinations drawn at random</option>
        </select>
      </label>
      {isRandom && (
        <TextOption label="How many rows" text={chosen.rows} set={(rows) => set({ rows })} />
      )}
      {isDrawn && <TextOption label="Seed" text={chosen.seed} set={(seed) => set({ seed })} />}
      <TextOption
        label="Only where"
        placeholder="parameters < 5_000_000"
        text={chosen.where}
        set={(where) => set({ where })}
      />
      <label class="check">
        <input
          type="checkbox"
          checked={chosen.predictGain}
          onChange={(event) => set({ predictGain: event.currentTarget.checked })}
        />
        Predict the gain of the signal
      </label>
    </div>
  );
}

function TextOption({
  label,
  text,
  set,
  placeholder = "",
}: {
  label: string;
  text: string;
  set: (text: string) => void;
  placeholder?: string;
}) {
  return (
    <label>
      {label}
      <input
        type="text"
        autocomplete="off"
        spellcheck={false}
        placeholder={placeholder}
        value={text}
        onInput={(event) => set(event.currentTarget.value)}
      />
    </label>
  );
}

function RunBar() {
  const isRunning = run.value?.state === "running";
  const planned = plan.value;
  const counted = planned?.counted.includes("=")
    ? planned.counted.replaceAll(" x ", " × ")
    : String(planned?.row_count ?? "");
  return (
    <div class="run-bar">
      {isRunning ? (
        <button type="button" onClick={() => void endRun()}>
          End the sweep
        </button>
      ) : (
        <button
          type="button"
          class="primary"
          disabled={planProblem.value !== null || planned === null}
          onClick={() => {
            resetSelection();
            void startRun(sweepDocument.value);
          }}
        >
          Run the sweep
        </button>
      )}
      <p aria-live="polite">
        {planProblem.value ? (
          "The service refuses this sweep."
        ) : planned === null ? (
          "Counting the rows …"
        ) : (
          <>
            <strong>{counted}</strong> {planned.row_count === 1 ? "row" : "rows"}
          </>
        )}
      </p>
      <p class="hint">
        The service keeps the rows of a sweep, so that it can go on and be downloaded.
      </p>
    </div>
  );
}
