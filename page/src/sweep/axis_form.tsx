/** One axis of the sweep that is set up: its place, its values, and what is wrong with them. */

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import type { Schemas } from "../api/client";
import { value as spelled } from "../ui/format";
import { type Axis, changeAxis, moveAxis, removeAxis } from "./axes";
import { type AxisValues, DISTRIBUTIONS, isNormal, kindsOf, type ValuesKind } from "./axis_values";

export function AxisForm({
  axis,
  index,
  count,
  isLost,
  mistakes,
}: {
  axis: Axis;
  index: number;
  count: number;
  isLost: boolean;
  mistakes: readonly Schemas["ProblemItem"][];
}) {
  const { place, values, key } = axis;
  const change = (update: Partial<AxisValues>) =>
    changeAxis(key, { values: { ...values, ...update } });
  const name = `${place.group}: ${place.label}`;
  const kinds = kindsOf(place);
  return (
    <li class={axis.inStep && index > 0 ? "axis-form in-step" : "axis-form"}>
      <fieldset>
        <legend>
          <span class="axis-group">{place.group}</span> {place.label}
        </legend>
        <p class="hint">{place.type}</p>
        {isLost && (
          <p class="field-mistake" role="alert">
            Its level is not in the spec now, so this axis is left out of the sweep.
          </p>
        )}
        {kinds.length > 1 && (
          <label>
            Values{" "}
            <select
              value={values.kind}
              onChange={(event) => change({ kind: event.currentTarget.value as ValuesKind })}
            >
              {kinds.map(({ kind, name }) => (
                <option key={kind} value={kind}>
                  {name}
                </option>
              ))}
            </select>
          </label>
        )}
        <div class="axis-values">
          <ValuesForm axis={axis} change={change} isWrong={mistakes.length > 0} />
        </div>
        {mistakes.map((mistake) => (
          <p key={mistake.pointer + mistake.message} class="field-mistake" role="alert">
            {mistake.message}
          </p>
        ))}
        {index > 0 && (
          <label>
            <input
              type="checkbox"
              checked={axis.inStep}
              onChange={(event) => changeAxis(key, { inStep: event.currentTarget.checked })}
            />
            in step with the axis above
          </label>
        )}
      </fieldset>
      <div class="axis-actions">
        <IconButton
          label={`Move ${name} up: it varies slower`}
          disabled={index === 0}
          onClick={() => moveAxis(key, -1)}
        >
          ↑
        </IconButton>
        <IconButton
          label={`Move ${name} down: it varies faster`}
          disabled={index === count - 1}
          onClick={() => moveAxis(key, 1)}
        >
          ↓
        </IconButton>
        <IconButton label={`Remove ${name}`} onClick={() => removeAxis(key)}>
          ×
        </IconButton>
      </div>
    </li>
  );
}

function IconButton({
  label,
  disabled = false,
  onClick,
  children,
}: {
  label: string;
  disabled?: boolean;
  onClick: () => void;
  children: ComponentChildren;
}) {
  return (
    <button
      type="button"
      class="quiet"
      aria-label={label}
      title={label}
      disabled={disabled}
      onClick={onClick}
    >
      {children}
    </button>
  );
}

interface FormProps {
  readonly axis: Axis;
  readonly change: (update: Partial<AxisValues>) => void;
  readonly isWrong: boolean;
}

function ValuesForm(props: FormProps) {
  const { kind, distribution, isLog } = props.axis.values;
  switch (kind) {
    case "choices":
      return <Choices {...props} />;
    case "list":
      return <Field {...props} name="list" label="Values, with commas" isWide />;
    case "steps":
      return (
        <>
          <Field {...props} name="start" label="From" />
          <Field {...props} name="stop" label="To, without it" />
          <Field {...props} name="step" label="Step" />
        </>
      );
    case "spaced":
      return (
        <>
          <Field {...props} name="start" label="From" />
          <Field {...props} name="stop" label="To" />
          <Field {...props} name="count" label="How many" />
          <label>
            <input
              type="checkbox"
              checked={isLog}
              onChange={(event) => props.change({ isLog: event.currentTarget.checked })}
            />
            equal ratios
          </label>
        </>
      );
    case "draws":
      return (
        <>
          <label>
            Distribution
            <select
              value={distribution}
              onChange={(event) => {
                const chosen = DISTRIBUTIONS.find((each) => each === event.currentTarget.value);
                if (chosen) props.change({ distribution: chosen });
              }}
            >
              {DISTRIBUTIONS.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </label>
          <Field {...props} name="start" label={isNormal(distribution) ? "mu" : "min"} />
          <Field {...props} name="stop" label={isNormal(distribution) ? "sigma" : "max"} />
          {distribution.startsWith("q_") && <Field {...props} name="q" label="Multiples of" />}
          <Field {...props} name="count" label="How many" />
        </>
      );
    case "glob":
      return (
        <>
          <Field {...props} name="glob" label="Architectures, * stands for any text" isWide />
          <Field {...props} name="exclude" label="But not" />
        </>
      );
  }
}

function Choices({ axis, change, isWrong }: FormProps) {
  const { place, values } = axis;
  const chosen = new Set(values.chosen.map((each) => JSON.stringify(each)));
  const isLevel = place.path === "/args";
  return (
    <>
      <div class="choices">
        {place.choices.map((choice, index) => {
          const key = JSON.stringify(choice);
          return (
            <label key={key}>
              <input
                type="checkbox"
                checked={chosen.has(key)}
                onChange={(event) => {
                  const isOn = event.currentTarget.checked;
                  // In the order of the choices, whichever was clicked first.
                  const next = place.choices.filter((each) => {
                    const text = JSON.stringify(each);
                    return text === key ? isOn : chosen.has(text);
                  });
                  change({ chosen: next });
                }}
              />
              {isLevel ? ["on", "off"][index] : spelled(choice)}
            </label>
          );
        })}
      </div>
      {!isLevel && place.choices.some((each) => typeof each === "string") && (
        <Field
          axis={axis}
          change={change}
          isWrong={isWrong}
          name="more"
          label="Others, as JSON with commas"
          isWide
        />
      )}
    </>
  );
}

type TextName = "list" | "more" | "start" | "stop" | "step" | "count" | "q" | "glob" | "exclude";

function Field({
  axis,
  change,
  isWrong,
  name,
  label,
  isWide = false,
}: FormProps & { name: TextName; label: string; isWide?: boolean }) {
  const id = useId();
  return (
    <div class={isWide ? "field wide" : "field"}>
      <label for={id}>{label}</label>
      <input
        id={id}
        type="text"
        autocomplete="off"
        spellcheck={false}
        aria-invalid={isWrong}
        value={axis.values[name]}
        onInput={(event) => change({ [name]: event.currentTarget.value })}
      />
    </div>
  );
}
