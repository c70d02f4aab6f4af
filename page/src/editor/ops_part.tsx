/** The ops of a level. */

import { opDescription, opNames, retryProblems } from "../catalogue/catalogue";
import type { Level } from "../spec/draft";
import { Chips } from "./chips";
import { callsByOp, callsInWords } from "./fates";
import type { Mistake } from "./mistakes";
import { isWithin } from "./pointers";

/** A level that the fields can show: with ops and args, whatever else it has. */
export type PlainLevel = Level & Required<Pick<Level, "ops" | "args">>;

export interface PartProps {
  readonly id: string;
  readonly level: PlainLevel;
  readonly pointer: string | undefined;
  readonly mistakes: readonly Mistake[];
  readonly change: (level: unknown, group?: string) => void;
}

/** Returns the mistakes at a member of the level, and in it. */
export function mistakesIn(props: PartProps, member: string): readonly Mistake[] {
  const outer = `${props.pointer}/${member}`;
  return props.mistakes.filter((each) => isWithin(each.pointer, outer));
}

export function OpsPart(props: PartProps) {
  const { id, level, pointer, change } = props;
  const { value: known, problem } = opNames();
  const used = callsByOp.value;
  // The ops that the network calls come first: a level of others reaches nothing.
  const names = known?.ops.map((op) => op.name) ?? [];
  const choices = [...names.filter((op) => used.has(op)), ...names.filter((op) => !used.has(op))];
  return (
    <div>
      <Chips
        id={`${id}-ops`}
        label="ops"
        one="op"
        items={level.ops}
        choices={choices.map((value) => ({
          value,
          note: () => (used.has(value) ? callsInWords(used.get(value) ?? 0) : "not called here"),
        }))}
        title={(op) => opDescription(op).value?.description}
        pointer={pointer && `${pointer}/ops`}
        mistakes={mistakesIn(props, "ops")}
        change={(ops) => change({ ...level, ops })}
      />
      {problem && (
        <p class="field-mistake">
          The list of ops did not come: {problem.detail}
          <button type="button" class="fix" onClick={retryProblems}>
            Try again
          </button>
        </p>
      )}
    </div>
  );
}
