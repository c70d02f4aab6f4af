/** One argument: its name, a field for its value, and the arguments of a function that it names. */

import type { ComponentChildren } from "preact";
import { opDescription } from "../catalogue/catalogue";
import { value as inWords } from "../ui/format";
import { functionArguments } from "./arguments";
import { Combobox } from "./combobox";
import { Icon } from "./icons";
import { type Description, isObject, kindOf, kindOfValue } from "./kinds";
import { invalid, type Mistake, Mistakes } from "./mistakes";
import { pointerOf, tokens } from "./pointers";
import { type FieldProps, ValueField } from "./value";

export interface ArgumentProps {
  readonly id: string;
  /** Undefined for an argument that nothing describes, such as one that is misspelt. */
  readonly description: Description | undefined;
  readonly name: string;
  readonly value: unknown;
  readonly optional: boolean;
  /** Where the mistakes at the argument's own place point, and all that are at it or inside it. */
  readonly pointer: string | undefined;
  readonly mistakes: readonly Mistake[];
  /** The normalizer whose arguments an object of them has. */
  readonly normalizer?: string;
  readonly change: (value: unknown, group?: string) => void;
  readonly remove?: () => void;
  readonly children?: ComponentChildren;
}

export function ArgumentRow(props: ArgumentProps) {
  const { id, description, name, value, optional, pointer, mistakes, change, remove } = props;
  const kind = description ? kindOf(description) : kindOfValue(value);
  const hasInner =
    (kind.is === "function" && value !== null && value !== undefined) ||
    (kind.is === "arguments" && isObject(value));
  // The mistakes of inner arguments stand at their own rows.
  const own = hasInner ? mistakes.filter((each) => !isInner(each, pointer)) : mistakes;
  const mistakesId = `${id}-mistakes`;
  const { "aria-invalid": isInvalid, "aria-describedby": describedBy } = invalid(mistakesId, own);
  const isSet = value !== undefined;
  const hasDefault = optional && description?.default !== undefined;
  const field: FieldProps = {
    id,
    label: name,
    kind,
    value: kind.is === "function" && isObject(value) ? value.name : value,
    fallback: description?.default,
    optional,
    describedBy,
    isInvalid: isInvalid === true,
    change,
  };
  return (
    <div class="argument">
      <span class="argument-name mono" title={description && helpOf(description)}>
        {name}
      </span>
      <div class="argument-value">
        {kind.is === "arguments" && isObject(value) ? (
          <span class="note">of {props.normalizer ?? "the normalizer"}:</span>
        ) : (
          <ValueField {...field} />
        )}
      </div>
      {remove ? (
        <button
          type="button"
          class="quiet icon"
          disabled={optional && !isSet}
          aria-label={hasDefault ? `Reset ${name} to its default` : `Remove ${name}`}
          title={hasDefault ? `Reset to ${inWords(description?.default)}` : `Remove ${name}`}
          onClick={(event) => {
            // The button goes, or can be pressed no more; so may the field.
            const others = event.currentTarget.closest(".arguments, .inner-arguments");
            const next = optional
              ? document.getElementById(id)
              : others?.querySelector<HTMLElement>(":scope > .combobox > input");
            remove();
            next?.focus();
          }}
        >
          <Icon name={hasDefault ? "reset" : "remove"} />
        </button>
      ) : (
        <span />
      )}
      {hasInner && <InnerArguments {...props} />}
      <div class="argument-notes">
        <Mistakes id={mistakesId} mistakes={own} />
        {props.children}
      </div>
    </div>
  );
}

/** Returns an argument's type and default in a sentence. */
export function helpOf({ name, type, default: fallback, required }: Description): string {
  const end = fallback !== undefined ? ` Default: ${inWords(fallback)}.` : "";
  return `${name}: ${type}.${required ? " The op has no default for it." : end}`;
}

const isInner = (mistake: Mistake, pointer: string | undefined): boolean => {
  const [inner] = pointer === undefined ? [] : tokens(mistake.pointer.slice(pointer.length));
  return inner !== undefined && inner !== "name";
};

/** The arguments of an initializer, a regularizer or a normalizer. */
function InnerArguments(props: ArgumentProps) {
  const { id, name: outer, description, value, pointer, mistakes, change } = props;
  const isFunction = typeof value === "string" || (isObject(value) && "name" in value);
  const functionName = isObject(value) && isFunction ? value.name : value;
  const { name: _, ...set } = isObject(value) ? value : ({} as Record<string, unknown>);
  const own = isFunction ? set : ((isObject(value) ? value : {}) as Record<string, unknown>);
  const defaults = isFunction
    ? defaultsOf(functionName, description)
    : ({} as Readonly<Record<string, unknown>>);
  const normalizer = isFunction ? undefined : opDescription(props.normalizer ?? "batch_norm").value;
  const asked = mistakes
    .filter((each) => isInner(each, pointer))
    .map((each) => tokens(each.pointer.slice(pointer?.length))[0] as string);
  const names = [...new Set([...Object.keys(defaults), ...Object.keys(own), ...asked])];
  const set1 = (argument: string, inner: unknown, group?: string) => {
    const { [argument]: before, ...others } = own;
    const after = inner === undefined ? others : { ...own, [argument]: inner };
    if (!isFunction) change(after, group);
    // Without arguments of its own a function is its name alone.
    else
      change(
        Object.keys(after).length > 0 ? { name: functionName, ...after } : functionName,
        group,
      );
  };
  if (names.length === 0 && isFunction) return null;
  return (
    <div class="inner-arguments">
      {names.map((argument) => {
        const described = normalizer?.arguments.find((each) => each.name === argument);
        const inner: Description | undefined =
          described ?? (argument in defaults ? describe(argument, defaults[argument]) : undefined);
        const innerPointer = pointer && `${pointer}${pointerOf(argument)}`;
        return (
          <ArgumentRow
            key={argument}
            id={`${id}-${argument}`}
            name={argument}
            description={inner}
            value={own[argument]}
            optional={isFunction}
            pointer={innerPointer}
            mistakes={mistakes.filter(
              (each) => innerPointer !== undefined && each.pointer.startsWith(innerPointer),
            )}
            change={(next, group) => set1(argument, next, group)}
            remove={() => set1(argument, undefined)}
          />
        );
      })}
      {normalizer && (
        <Combobox
          label={`Add an argument to ${outer}`}
          placeholder="Add an argument"
          choices={normalizer.arguments
            .filter((each) => !(each.name in own))
            .map((each) => ({ value: each.name, note: () => inWords(each.default) }))}
          onChoose={(argument) => {
            const chosen = normalizer.arguments.find((each) => each.name === argument);
            set1(argument, chosen?.default ?? null);
          }}
        />
      )}
    </div>
  );
}

function defaultsOf(
  functionName: unknown,
  description: Description | undefined,
): Readonly<Record<string, unknown>> {
  const complete = description?.default;
  if (isObject(complete) && complete.name === functionName) {
    const { name: _, ...others } = complete;
    return others;
  }
  return functionArguments.value.get(String(functionName)) ?? {};
}

/** A function's argument is not described; what its default is tells how to edit it. */
function describe(name: string, fallback: unknown): Description {
  const types = { number: "a number", boolean: "true or false", string: "a string" };
  const type = types[typeof fallback as keyof typeof types] ?? "anything";
  return { name, type, ...(fallback !== undefined && { default: fallback as never }) };
}
