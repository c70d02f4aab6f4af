/** What of the spec is no level: the architecture, its parameters, the input, the default scope. */

import { useEffect, useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { architecture, architectures, retryProblems } from "../catalogue/catalogue";
import { draft, setField } from "../spec/draft";
import { openStart } from "../start/start";
import { value as inWords } from "../ui/format";
import { ArgumentRow } from "./argument";
import { Icon } from "./icons";
import { type Description, isObject } from "./kinds";
import { invalid, Mistakes, useMistakes } from "./mistakes";
import { isWithin, pointerOf } from "./pointers";

type Architecture = Schemas["ArchitectureDescription"];

export function Header() {
  const { fields } = draft.value;
  const name = typeof fields.architecture === "string" ? fields.architecture : "";
  const { value: known, problem } = architecture(name);
  return (
    <section class="network" aria-label="Network">
      <ArchitectureField name={name} description={known?.description} />
      {problem && (
        <p class="field-mistake">
          The network's parameters did not come: {problem.detail}
          <button type="button" class="fix" onClick={retryProblems}>
            Try again
          </button>
        </p>
      )}
      <Input known={known} />
      <Settings
        title="Parameters"
        field="params"
        descriptions={known?.params ?? []}
        isKnown={known !== undefined}
      />
      <DefaultScope known={known} />
    </section>
  );
}

function ArchitectureField({
  name,
  description,
}: {
  name: string;
  description: string | undefined;
}) {
  const { value: all } = architectures();
  const mistakes = useMistakes("/architecture");
  const families = new Map<string, Schemas["ArchitectureItem"][]>();
  for (const each of all?.architectures ?? []) {
    families.set(each.family, [...(families.get(each.family) ?? []), each]);
  }
  const isKnown = all?.architectures.some((each) => each.name === name);
  return (
    <div class="argument">
      <label class="argument-name" for="field-architecture">
        architecture
      </label>
      <div class="argument-value">
        <select
          id="field-architecture"
          title={description}
          value={name}
          {...invalid("field-architecture-mistakes", mistakes)}
          onChange={(event) => setField("architecture", event.currentTarget.value)}
        >
          {!isKnown && <option value={name}>{name || "choose one"}</option>}
          {[...families].map(([family, members]) => (
            <optgroup key={family} label={family}>
              {members.map((each) => (
                <option key={each.name} value={each.name}>
                  {each.name}
                </option>
              ))}
            </optgroup>
          ))}
        </select>
      </div>
      <button
        type="button"
        class="quiet icon"
        aria-haspopup="dialog"
        aria-label="Search the architectures"
        title="Search the architectures by family, parameters and multiply-adds"
        onClick={() => openStart("architectures")}
      >
        <Icon name="search" />
      </button>
      <div class="argument-notes">
        <Mistakes id="field-architecture-mistakes" mistakes={mistakes} />
      </div>
    </div>
  );
}

const INPUT: Description = { name: "input_shape", type: "a list of integers" };

function Input({ known }: { known: Architecture | undefined }) {
  const { input_shape: size, is_training: training } = draft.value.fields;
  const sizeMistakes = useMistakes("/input_shape");
  const trainingMistakes = useMistakes("/is_training");
  return (
    <>
      <ArgumentRow
        id="field-input"
        name="input_shape"
        description={known ? { ...INPUT, default: known.input_shape } : INPUT}
        value={size ?? undefined}
        optional
        pointer="/input_shape"
        mistakes={sizeMistakes}
        change={(next, group) => setField("input_shape", next, group)}
        remove={() => setField("input_shape", undefined)}
      />
      <ArgumentRow
        id="field-training"
        name="is_training"
        description={{ name: "is_training", type: "true or false", default: false }}
        value={training}
        optional
        pointer="/is_training"
        mistakes={trainingMistakes}
        change={(next) => setField("is_training", next)}
        remove={() => setField("is_training", undefined)}
      />
    </>
  );
}

/** The members of `params` or `default_scope`: all that the service describes, and all that are set. */
function Settings({
  title,
  field,
  descriptions,
  isKnown,
}: {
  title: string;
  field: "params" | "default_scope";
  descriptions: readonly Description[];
  isKnown: boolean;
}) {
  const value = draft.value.fields[field];
  const own = isObject(value) ? value : {};
  const mistakes = useMistakes(`/${field}`);
  const [isAsked, ask] = useState(false);
  const isOpen = isAsked || mistakes.length > 0;
  // What a mistake has opened stays open while the mistake is being corrected.
  useEffect(() => ask(isOpen), [isOpen]);
  const described = descriptions.map((each) => each.name);
  const names = [...described, ...Object.keys(own).filter((name) => !described.includes(name))];
  const set = (name: string, next: unknown, group?: string) => {
    const { [name]: _, ...others } = own;
    const after = next === undefined ? others : { ...own, [name]: next };
    setField(field, Object.keys(after).length > 0 ? after : undefined, group);
  };
  const summary = Object.entries(own).map(([name, each]) => `${name}=${inWords(each)}`);
  const atNoField = mistakes.filter(
    (each) => !names.some((name) => isWithin(each.pointer, `/${field}${pointerOf(name)}`)),
  );
  return (
    <div class="settings">
      <button
        type="button"
        class="quiet disclosure"
        aria-expanded={isOpen}
        onClick={() => ask(!isOpen)}
      >
        <span class="settings-name">{title}</span>
        <span class={summary.length > 0 ? "mono" : "note"}>
          {summary.join(", ") || `${isKnown ? `all ${descriptions.length} ` : ""}as published`}
        </span>
      </button>
      <Mistakes id={`field-${field}-mistakes`} mistakes={atNoField} />
      {isOpen &&
        names.map((name) => (
          <ArgumentRow
            key={name}
            id={`field-${field}-${name}`}
            name={name}
            description={descriptions.find((each) => each.name === name)}
            value={own[name]}
            optional
            pointer={`/${field}${pointerOf(name)}`}
            mistakes={mistakes.filter((each) =>
              isWithin(each.pointer, `/${field}${pointerOf(name)}`),
            )}
            change={(next, group) => set(name, next, group)}
            remove={() => set(name, undefined)}
          />
        ))}
    </div>
  );
}

/** The default scope can be left out as a whole; its arguments are gone then. */
function DefaultScope({ known }: { known: Architecture | undefined }) {
  const isOff = draft.value.fields.default_scope === null;
  return (
    <div class="default-scope">
      {isOff ? (
        <p class="disclosure is-off">
          <span class="settings-name">Default scope</span>
          <span class="note">left out: ops keep their own defaults</span>
        </p>
      ) : (
        <Settings
          title="Default scope"
          field="default_scope"
          descriptions={known?.default_scope.arguments ?? []}
          isKnown={known !== undefined}
        />
      )}
      <input
        type="checkbox"
        aria-label="The default scope is on"
        title={
          isOff
            ? "Enter the default scope around all levels"
            : "Leave the default scope out: ops keep their own defaults"
        }
        checked={!isOff}
        onChange={(event) =>
          setField("default_scope", event.currentTarget.checked ? undefined : null)
        }
      />
    </div>
  );
}
