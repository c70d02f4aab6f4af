/** A value with the mark of who set it, and the marks of the levels that it beat. */

import { value } from "../ui/format";
import {
  type Argument,
  type Setter,
  setterClass,
  setterMark,
  setterName,
  setterOf,
} from "./setters";

/** Returns the attributes by which a press on an element leads to the setter's level in the editor. */
export function placeAttributes(setter: Setter) {
  if (setter.by !== "level") return {};
  return { "data-place": setter.index, title: `Level ${setter.index}: show it in the editor` };
}

/** The mark alone. */
export function SetterMark({ setter, isBeaten }: { setter: Setter; isBeaten?: boolean }) {
  return (
    <span
      class={`setter-mark ${setterClass(setter)} ${isBeaten ? "is-beaten" : ""}`}
      {...placeAttributes(setter)}
    >
      {setterMark(setter)}
    </span>
  );
}

/** Returns who set the argument and what that beat, in a sentence. */
export function setterSentence(argument: Argument): string {
  const by = setterOf(argument);
  const how =
    argument.kind === "forced" ? ", forced" : argument.kind === "call" ? ", in the call" : "";
  const beat = (argument.beat ?? []).map(
    (each) => `${value(each.value)} (${setterName(setterOf(each))})`,
  );
  const more = argument.more_beaten ? ` and ${argument.more_beaten} more` : "";
  const beaten = beat.length > 0 ? `; beat ${beat.join(", ")}${more}` : "";
  return `${value(argument.value)}: set by ${setterName(by)}${how}${beaten}`;
}

/** An argument in a cell: levels of the request that were beaten stand after it, struck through. */
export function SetValue({ argument }: { argument: Argument }) {
  const setter = setterOf(argument);
  const beaten = (argument.beat ?? [])
    .map(setterOf)
    .filter((each) => each.by === "level" && !sameSetter(each, setter));
  return (
    <span class={`set-value ${setterClass(setter)}`} title={setterSentence(argument)}>
      <SetterMark setter={setter} />
      <span class="set-value-text">{value(argument.value)}</span>
      {beaten.slice(0, 2).map((each) => (
        <SetterMark key={setterMark(each)} setter={each} isBeaten />
      ))}
    </span>
  );
}

function sameSetter(a: Setter, b: Setter): boolean {
  return setterMark(a) === setterMark(b) && a.by === b.by;
}
