/** The arguments of a level, each with what became of it. */

import { value as inWords } from "../ui/format";
import { ArgumentRow } from "./argument";
import { argumentsOf, firstValue } from "./arguments";
import { Combobox } from "./combobox";
import { type Fate, fateLine, type LevelSays } from "./fates";
import { Mistakes } from "./mistakes";
import { mistakesIn, type PartProps } from "./ops_part";
import { isWithin, pointerOf } from "./pointers";

export function ArgumentsPart(props: PartProps & { says: LevelSays }) {
  const { id, level, pointer, says, change } = props;
  const { args } = level;
  const descriptions = argumentsOf(level.ops);
  const mistakes = mistakesIn(props, "args");
  const set = (next: Readonly<Record<string, unknown>>, group?: string) =>
    change({ ...level, args: next }, group);
  const { normalizer_fn: normalizer } = args;
  // What nobody described is a mistake of its own, and stands where the argument would.
  const general = mistakes.filter(
    (each) => !Object.keys(args).some((name) => isAt(each.pointer, pointer, name)),
  );
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is no grid in all browsers
    <div class="arguments" role="group" aria-label="args">
      {Object.entries(args).map(([name, value]) => (
        <ArgumentRow
          key={name}
          id={`${id}-arg-${name}`}
          name={name}
          description={descriptions.find((each) => each.name === name)}
          value={value}
          optional={false}
          pointer={pointer && `${pointer}/args${pointerOf(name)}`}
          mistakes={mistakes.filter((each) => isAt(each.pointer, pointer, name))}
          {...(typeof normalizer === "string" && { normalizer })}
          change={(next, group) => set({ ...args, [name]: next }, group)}
          remove={() => {
            const { [name]: _, ...others } = args;
            set(others);
          }}
        >
          {pointer !== undefined && !mistakes.some((each) => isAt(each.pointer, pointer, name)) && (
            <FateNote
              fate={says.fates[name]}
              warnings={says.warnings[`/args${pointerOf(name)}`] ?? []}
            />
          )}
        </ArgumentRow>
      ))}
      <Combobox
        label="Add an argument to args"
        placeholder={
          level.ops.length > 1 ? "Add an argument that all these ops take" : "Add an argument"
        }
        choices={descriptions
          .filter((each) => !(each.name in args))
          .map((each) => ({
            value: each.name,
            note: () => (each.default === undefined ? each.type : inWords(each.default)),
          }))}
        onChoose={(name) => {
          const description = descriptions.find((each) => each.name === name);
          if (description) set({ ...args, [name]: firstValue(description) });
        }}
      />
      <Mistakes id={`${id}-args-mistakes`} mistakes={general} />
    </div>
  );
}

const isAt = (mistake: string, level: string | undefined, name: string): boolean =>
  level !== undefined && isWithin(mistake, `${level}/args${pointerOf(name)}`);

/** The line stands there while the answer is on its way, so that nothing moves when it comes. */
function FateNote({ fate, warnings }: { fate: Fate | undefined; warnings: readonly string[] }) {
  const line = fate ? fateLine(fate) : "\u00a0";
  if (warnings.length === 0) return <p class="note fate">{line}</p>;
  return (
    <details class="fate warning">
      <summary>{fate ? line : "has no effect"}</summary>
      {warnings.map((warning) => (
        <p key={warning}>{warning}</p>
      ))}
    </details>
  );
}
