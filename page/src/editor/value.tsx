/** Fields for one value, by what its argument takes. */

import { useState } from "preact/hooks";
import { value as inWords } from "../ui/format";
import { isEqual, type Kind, parse, shows, textOf } from "./kinds";

export interface FieldProps {
  readonly id: string;
  readonly label: string;
  readonly kind: Kind;
  /** Undefined where nothing is set: the default is shown instead. */
  readonly value: unknown;
  readonly fallback?: unknown;
  /** Whether emptying the field goes back to the default; otherwise there is always a value. */
  readonly optional: boolean;
  readonly describedBy?: string | undefined;
  readonly isInvalid?: boolean;
  /** `group` joins the keys pressed in one field into one step of undo. */
  readonly change: (value: unknown, group?: string) => void;
}

/** Shows the field that fits the kind and the value; a value that fits no kind is shown as JSON. */
export function ValueField(props: FieldProps) {
  const { kind, value } = props;
  const fitting: Kind = value === undefined || shows(kind, value) ? kind : { is: "json" };
  switch (fitting.is) {
    case "boolean":
      return <ChoiceField {...props} values={[true, false]} />;
    case "choice":
      return <ChoiceField {...props} values={fitting.values} />;
    case "function":
      return <ChoiceField {...props} values={fitting.names} />;
    default:
      return <TextField {...props} kind={fitting} />;
  }
}

const attributes = ({ id, label, describedBy, isInvalid }: FieldProps) => ({
  id,
  "aria-label": label,
  "aria-describedby": describedBy,
  "aria-invalid": isInvalid ? (true as const) : undefined,
});

function ChoiceField(props: FieldProps & { values: readonly unknown[] }) {
  const { kind, value, fallback, optional, change } = props;
  const all = "nullable" in kind && kind.nullable ? [...props.values, null] : props.values;
  // A name that is none of the choices is kept: the service says which it knows.
  const isKnown = value === undefined || all.some((each) => isEqual(each, value));
  const values = isKnown ? all : [value, ...all];
  return (
    <select
      {...attributes(props)}
      class={value === undefined ? "is-default" : undefined}
      value={value === undefined ? "" : JSON.stringify(value)}
      onChange={(event) => {
        const text = event.currentTarget.value;
        change(text === "" ? undefined : JSON.parse(text));
      }}
    >
      {(optional || value === undefined) && (
        <option value="">
          {fallback === undefined ? "choose" : `${inWords(fallback)} (default)`}
        </option>
      )}
      {values.map((each) => (
        <option key={JSON.stringify(each)} value={JSON.stringify(each)}>
          {inWords(each)}
        </option>
      ))}
    </select>
  );
}

function TextField(props: FieldProps) {
  const { id, kind, value, fallback, optional, change } = props;
  // What was typed stays as long as the value is the one it was typed for: "0." means 0.
  const [typed, setTyped] = useState<{ text: string; value: unknown; error?: string } | null>(null);
  // Decided once: a field that becomes another while one types in it would lose the focus.
  const [isLong] = useState(() => textOf(kind, value).length > 30);
  const current = typed !== null && isEqual(typed.value, value) ? typed : null;
  const onInput = (text: string) => {
    if (text === "" && optional) {
      setTyped({ text, value: undefined });
      change(undefined, id);
      return;
    }
    const parsed = parse(kind, text);
    if ("error" in parsed) {
      setTyped({ text, value, error: parsed.error });
    } else {
      setTyped({ text, value: parsed.value });
      change(parsed.value, id);
    }
  };
  const text = current?.text ?? textOf(kind, value);
  const errorId = `${id}-syntax`;
  const describedBy = [props.describedBy, current?.error && errorId].filter(Boolean).join(" ");
  const shared = {
    ...attributes({ ...props, describedBy: describedBy || undefined }),
    ...(current?.error && { "aria-invalid": true as const }),
    value: text,
    spellcheck: false,
    autocomplete: "off",
    placeholder: fallback === undefined ? "" : textOf(kind, fallback),
    onBlur: () => current?.error === undefined && setTyped(null),
  };
  return (
    <>
      {kind.is === "json" && isLong ? (
        <textarea
          {...shared}
          class="mono"
          rows={Math.min(6, Math.ceil(text.length / 34))}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      ) : (
        <input
          {...shared}
          type="text"
          inputMode={kind.is === "number" ? "decimal" : undefined}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      )}
      {current?.error && (
        <p class="field-mistake" id={errorId}>
          {current.error}
        </p>
      )}
    </>
  );
}
