/** Where a level reaches: patterns of layers, those that it spares, and whether it beats the network. */

import { useEffect, useState } from "preact/hooks";
import { exact } from "../ui/format";
import { Chips } from "./chips";
import { Mistakes } from "./mistakes";
import { mistakesIn, type PartProps } from "./ops_part";
import { matched, patternChoices } from "./patterns";

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((each) => typeof each === "string");

const layersInWords = (count: number): string =>
  `${exact(count)} ${count === 1 ? "layer" : "layers"}`;

export function ReachPart(props: PartProps) {
  const { id, level, pointer, change } = props;
  const layers = isTexts(level.layers) ? level.layers : [];
  const except = isTexts(level.except) ? level.except : [];
  const problems = ["layers", "except", "force"].map((each) => mistakesIn(props, each));
  const isLimited = layers.length + except.length > 0;
  const [isAsked, ask] = useState(false);
  const isOpen = isAsked || isLimited || problems.some((each) => each.length > 0);
  // It stays open when the last pattern is taken away: another may come in its place.
  useEffect(() => ask(isOpen), [isOpen]);
  const set = (name: "layers" | "except", items: readonly string[]) => {
    const { [name]: _, ...others } = level;
    change(items.length > 0 ? { ...level, [name]: items } : others);
  };
  return (
    <>
      {isOpen ? (
        <>
          <div class="part">
            <span class="part-name">layers</span>
            <Patterns
              id={`${id}-layers`}
              name="layers"
              items={layers}
              pointer={pointer && `${pointer}/layers`}
              mistakes={problems[0] ?? []}
              change={(items) => set("layers", items)}
            />
          </div>
          <div class="part">
            <span class="part-name">except</span>
            <Patterns
              id={`${id}-except`}
              name="except"
              items={except}
              pointer={pointer && `${pointer}/except`}
              mistakes={problems[1] ?? []}
              change={(items) => set("except", items)}
            />
          </div>
          <p class="note reach">
            {isLimited
              ? `Reaches into ${layersInWords(matched(layers.length > 0 ? layers : ["*"], except))}.`
              : "Reaches into every layer."}{" "}
            A pattern fits a whole name; * stands for any characters.
          </p>
        </>
      ) : (
        <button type="button" class="quiet more" onClick={() => ask(true)}>
          Limit to some layers …
        </button>
      )}
      <label
        class="switch"
        title="A scope never beats what the network itself passes to a call, nor the scopes inside. A forced level beats both."
      >
        <input
          type="checkbox"
          checked={level.force === true}
          onChange={(event) => {
            const { force: _, ...others } = level;
            change(event.currentTarget.checked ? { ...others, force: true } : others);
          }}
        />
        <span>
          <code>force</code>
          <span class="note"> beats the network and inner levels</span>
        </span>
      </label>
      <Mistakes id={`${id}-force-mistakes`} mistakes={problems[2] ?? []} />
    </>
  );
}

function Patterns(
  props: Pick<Parameters<typeof Chips>[0], "id" | "items" | "pointer" | "mistakes" | "change"> & {
    name: string;
  },
) {
  const { name, ...others } = props;
  return (
    <Chips
      {...others}
      label={name}
      one="pattern"
      free
      choices={patternChoices.value.map((value) => ({
        value,
        note: value.endsWith("*") ? () => layersInWords(matched([value])) : undefined,
      }))}
      note={(pattern) => layersInWords(matched([pattern]))}
    />
  );
}
