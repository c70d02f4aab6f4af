/** A list of texts as chips, each of which can be taken away, and a field that adds one. */

import { type Choice, Combobox } from "./combobox";
import { Icon } from "./icons";
import { invalid, type Mistake, Mistakes } from "./mistakes";
import { pointerOf } from "./pointers";

export function Chips({
  id,
  label,
  one,
  items,
  choices,
  note,
  title,
  free = false,
  pointer,
  mistakes,
  change,
}: {
  id: string;
  label: string;
  /** What one item is: "op", "pattern". */
  one: string;
  items: readonly string[];
  choices: readonly Choice[];
  note?: (item: string) => string;
  title?: (item: string) => string | undefined;
  free?: boolean;
  pointer: string | undefined;
  /** The mistakes at the list and in it. */
  mistakes: readonly Mistake[];
  change: (items: readonly string[]) => void;
}) {
  const mistakesId = `${id}-mistakes`;
  const isWrong = (index: number) =>
    pointer !== undefined && mistakes.some((each) => each.pointer === pointer + pointerOf(index));
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset's legend cannot stand in the line
    <div class="chips" role="group" aria-label={label} {...invalidGroup(mistakesId, mistakes)}>
      <ul class="chip-list">
        {items.map((item, index) => (
          // Two equal chips are a mistake that the service tells; they still are two.
          <li key={`${item} ${index}`} class={`chip ${isWrong(index) ? "is-wrong" : ""}`}>
            <span class="mono" title={title?.(item)}>
              {item}
            </span>
            {note && <span class="note">{note(item)}</span>}
            <button
              type="button"
              class="quiet icon"
              aria-label={`Remove ${one} ${item}`}
              onClick={() => change(items.toSpliced(index, 1))}
            >
              <Icon name="remove" />
            </button>
          </li>
        ))}
        <li class="chip-field">
          <Combobox
            label={`Add ${/^[aeiou]/.test(one) ? "an" : "a"} ${one} to ${label}`}
            placeholder={`Add ${/^[aeiou]/.test(one) ? "an" : "a"} ${one}`}
            choices={choices.filter(({ value }) => !items.includes(value))}
            free={free}
            onChoose={(item) => change([...items, item])}
          />
        </li>
      </ul>
      <Mistakes id={mistakesId} mistakes={mistakes} />
    </div>
  );
}

// A group takes no aria-invalid; the words that it is described by say what is wrong.
function invalidGroup(id: string, mistakes: readonly Mistake[]) {
  const { "aria-describedby": describedBy } = invalid(id, mistakes);
  return describedBy === undefined ? {} : { "aria-describedby": describedBy };
}
