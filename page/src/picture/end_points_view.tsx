/** End points as small images, of one build or of two side by side. */

import { useEffect, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api/client";
import { bytes, exact, shape as spellShape } from "../ui/format";
import { Loading } from "../ui/loading";
import { ProblemNote } from "../ui/problem";
import {
  bytesOf,
  channelCount,
  chosen,
  colours,
  fetchEndPoint,
  type Shapes,
  shownEndPoints,
} from "./end_points";
import type { NpyArray } from "./npy";
import { type Colours, layoutOf } from "./pixels";
import { type Outcome, type Result, row } from "./run";
import { Thumbnails } from "./thumbnails";

const CHANNEL_COUNTS = [8, 16, 32, 64, Number.POSITIVE_INFINITY];

export function EndPoints({ result }: { result: Result }) {
  const answered = result.outcomes.filter((outcome) => outcome.answer !== null);
  const shapes: Shapes = Object.assign(
    {},
    ...answered.map(({ build }) => build.end_points).reverse(),
  );
  const names = shownEndPoints(shapes);
  const left = Object.keys(shapes).filter((name) => !names.includes(name));
  if (answered.length === 0) return null;
  return (
    <section class="picture-end-points" aria-label="End points">
      <div class="picture-bar-of-options">
        <h2>End points</h2>
        <label>
          Channels
          <select
            value={String(channelCount.value)}
            onChange={(event) => {
              channelCount.value = Number(event.currentTarget.value);
            }}
          >
            {CHANNEL_COUNTS.map((count) => (
              <option key={count} value={String(count)}>
                {Number.isFinite(count) ? `first ${count}` : "all"}
              </option>
            ))}
          </select>
        </label>
        <label>
          Colours
          <select
            value={colours.value}
            onChange={(event) => {
              colours.value = event.currentTarget.value as Colours;
            }}
          >
            <option value="grey">grey</option>
            <option value="viridis">viridis</option>
          </select>
        </label>
        {left.length > 0 && (
          <label>
            Add
            <select
              value=""
              onChange={(event) => {
                chosen.value = [...names, event.currentTarget.value];
                event.currentTarget.value = "";
              }}
            >
              <option value="">an end point …</option>
              {left.map((name) => (
                <option key={name} value={name}>
                  {name} {spellShape(shapes[name] ?? [])}
                </option>
              ))}
            </select>
          </label>
        )}
      </div>
      <p class="picture-hint">
        Each image is scaled from its least value (dark) to its greatest (bright). An end point is
        fetched whole when it is shown.
      </p>
      {names.map((name) => (
        <section key={name} class="picture-end-point" aria-label={`End point ${name}`}>
          <h3>
            {name}
            <button
              type="button"
              class="quiet"
              aria-label={`Remove ${name}`}
              onClick={() => {
                chosen.value = names.filter((each) => each !== name);
              }}
            >
              ×
            </button>
          </h3>
          <div class="picture-outcomes">
            {answered.map((outcome) => (
              <OneEndPoint
                key={`${outcome.role} ${outcome.build.id}`}
                result={result}
                outcome={outcome}
                name={name}
              />
            ))}
          </div>
        </section>
      ))}
    </section>
  );
}

function OneEndPoint({
  result,
  outcome: { build, role },
  name,
}: {
  result: Result;
  outcome: Outcome;
  name: string;
}) {
  const shape = build.end_points[name];
  const [array, setArray] = useState<NpyArray | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [tries, setTries] = useState(0);
  useEffect(() => {
    if (shape === undefined) return;
    let isWanted = true;
    setProblem(null);
    fetchEndPoint(result, build.id, name).then(
      (fetched) => isWanted && setArray(fetched),
      (error: unknown) => isWanted && setProblem(asProblem(error)),
    );
    return () => {
      isWanted = false;
    };
  }, [result, build.id, name, tries]);
  if (shape === undefined) {
    return <p class="picture-hint">The {role} build has no end point of this name.</p>;
  }
  const layout = layoutOf(shape);
  const caption = [
    result.outcomes.length > 1 ? role : "",
    spellShape(shape),
    bytes(bytesOf(shape)),
    layout.kind === "video" ? `frame ${layout.frame} of ${layout.frames}` : "",
    layout.kind === "vector" ? "values in one image" : `${exact(layout.channels)} channels`,
  ];
  return (
    <div class="picture-maps">
      <p class="picture-hint">{caption.filter(Boolean).join(" · ")}</p>
      {problem && <ProblemNote problem={problem} retry={() => setTries(tries + 1)} />}
      {!problem && array === null && <Loading what={name} />}
      {array && (
        <Thumbnails
          array={array}
          layout={layout}
          row={row.value}
          name={name}
          count={Math.min(channelCount.value, layout.channels)}
          colours={colours.value}
        />
      )}
    </div>
  );
}
