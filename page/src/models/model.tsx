/** One named model: a row for each of its versions. */

import { useState } from "preact/hooks";
import { bytes, exact } from "../ui/format";
import { ProblemNote } from "../ui/problem";
import { load, openInEditor, remove, unload } from "./actions";
import { Runtime, Speed } from "./runtime";
import { builds, bytesInMemory, type Model, runtimes, statistics, versionKey } from "./state";
import { ScrollTable } from "./table";
import { type Act, useAction } from "./use_action";

export function ModelView({ name, versions }: { name: string; versions: readonly Model[] }) {
  const { problem, act } = useAction();
  const inMemory = versions.some((each) => each.state === "ready");
  return (
    <section class="model" aria-label={`Model ${name}`}>
      <div class="model-head">
        <h3>{name}</h3>
        {inMemory && (
          <button
            type="button"
            title="Frees the memory of all its versions; the next request loads again"
            onClick={() => void act(() => unload(name))}
          >
            Unload
          </button>
        )}
      </div>
      {problem && <ProblemNote problem={problem} />}
      <ScrollTable
        label={`Versions of ${name}`}
        columns={["Version", "Build", "State", "Memory", "Runs by", "Mean time"]}
      >
        {versions.map((version) => (
          <VersionRow key={version.version} model={version} act={act} />
        ))}
      </ScrollTable>
    </section>
  );
}

function VersionRow({ model, act }: { model: Model; act: Act }) {
  const { name, version, build, labels, options, state, reason } = model;
  const key = versionKey(name, version);
  const stats = statistics.value.value?.get(key);
  const size = bytesInMemory(stats);
  return (
    <tr>
      <th scope="row">
        {version}
        {labels.map((label) => (
          <span key={label} class="model-label">
            {label}
          </span>
        ))}
        {options.pinned && (
          <span class="model-label" title="Stays in memory, and is loaded at start-up">
            pinned
          </span>
        )}
      </th>
      <td>
        {builds.value.get(build)?.architecture}
        <div>
          <code title={build}>{build.slice(0, 8)}</code>
        </div>
        {model.class_names !== undefined && (
          <div class="model-soft">{exact(model.class_names)} class names</div>
        )}
      </td>
      <td>
        <span class={`models-state is-${state}`}>{state}</span>
        {reason && <div class="model-soft">{reason}</div>}
      </td>
      <td title={size > 0 ? `${exact(size)} bytes` : ""}>{size > 0 ? bytes(size) : "–"}</td>
      <td>
        <Runtime facts={runtimes.value.get(key)} options={options} />
      </td>
      <td>
        <Speed stats={stats} />
      </td>
      <td>
        <div class="model-actions">
          {state === "unavailable" && (
            <button
              type="button"
              aria-label={`Load version ${version} of ${name}`}
              onClick={() => void act(() => load(model))}
            >
              Load
            </button>
          )}
          <button
            type="button"
            aria-label={`Open version ${version} of ${name} in the editor`}
            onClick={() => void act(() => openInEditor(build))}
          >
            Open
          </button>
          <DeleteButton
            what={`version ${version} of ${name}`}
            onDelete={() => {
              document.getElementById("models-named")?.focus();
              void act(() => remove(model));
            }}
          />
        </div>
      </td>
    </tr>
  );
}

function DeleteButton({ what, onDelete }: { what: string; onDelete: () => void }) {
  const [asks, setAsks] = useState(false);
  if (!asks) {
    return (
      <button type="button" aria-label={`Delete ${what}`} onClick={() => setAsks(true)}>
        Delete
      </button>
    );
  }
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset would need a legend
    <span class="model-confirm" role="group" aria-label={`Delete ${what}?`}>
      <button type="button" class="danger" aria-label={`Yes, delete ${what}`} onClick={onDelete}>
        Delete
      </button>
      <button
        type="button"
        aria-label={`Keep ${what}`}
        ref={(button) => button?.focus()}
        onClick={() => setAsks(false)}
      >
        Keep
      </button>
    </span>
  );
}
