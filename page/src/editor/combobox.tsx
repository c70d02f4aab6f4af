/** A text field with a list of choices under it, as WAI-ARIA describes the editable combobox. */

import { useId, useRef, useState } from "preact/hooks";

export interface Choice {
  readonly value: string;
  /** Told only of the choices that are shown: it may have to look through all layers. */
  readonly note?: (() => string) | undefined;
}

/** A list of all names of a large network is of no help; typing narrows it. */
const MAX_SHOWN = 60;

/** Returns the choices that have all the words of a text in them, those that begin with it first. */
export function narrowed(choices: readonly Choice[], text: string): readonly Choice[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const fitting = choices.filter(({ value }) =>
    words.every((word) => value.toLowerCase().includes(word)),
  );
  const first = fitting.filter(({ value }) => value.toLowerCase().startsWith(words[0] ?? ""));
  return [...first, ...fitting.filter((each) => !first.includes(each))];
}

export function Combobox({
  label,
  placeholder,
  choices,
  onChoose,
  free = false,
}: {
  label: string;
  placeholder: string;
  choices: readonly Choice[];
  onChoose: (value: string) => void;
  /** Whether a text that is none of the choices can be chosen too. */
  free?: boolean;
}) {
  const id = useId();
  const field = useRef<HTMLInputElement>(null);
  const [text, setText] = useState("");
  const [isOpen, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const fitting = isOpen ? narrowed(choices, text) : [];
  const shown = fitting.slice(0, MAX_SHOWN);
  // In a free field the text itself is what Enter takes, until an arrow chooses from the list.
  const chosen = shown[active];
  const choose = (value: string | undefined) => {
    if (value === undefined || value === "") return;
    setText("");
    setOpen(false);
    onChoose(value);
    field.current?.focus();
  };
  const startOver = (next: string) => {
    setText(next);
    setOpen(true);
    setActive(free ? -1 : 0);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (isOpen || text)) {
      choose(chosen?.value ?? (free ? text.trim() : undefined));
    } else if (event.key === "Escape" && isOpen) {
      setOpen(false);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      // With Alt the arrows move the whole block, but Alt+ArrowDown opens a list, as selects do.
      if (event.altKey && event.key === "ArrowUp") return;
      if (!isOpen) startOver(text);
      else {
        const step = event.key === "ArrowDown" ? 1 : -1;
        const next = Math.min(shown.length - 1, Math.max(0, active + step));
        setActive(next);
        document.getElementById(`${id}-${next}`)?.scrollIntoView({ block: "nearest" });
      }
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="combobox">
      <input
        ref={field}
        type="text"
        role="combobox"
        aria-label={label}
        aria-expanded={isOpen}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={isOpen && chosen ? `${id}-${active}` : undefined}
        autocomplete="off"
        spellcheck={false}
        placeholder={placeholder}
        value={text}
        onInput={(event) => startOver(event.currentTarget.value)}
        onClick={() => !isOpen && startOver(text)}
        onBlur={() => {
          setOpen(false);
          // A text that is no choice is of no use later; one that can be chosen as it is may be.
          if (!free) setText("");
        }}
        onKeyDown={onKeyDown}
      />
      <div
        id={`${id}-list`}
        class="combobox-list"
        role="listbox"
        aria-label={label}
        hidden={!isOpen}
      >
        {shown.map((choice, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the text field's
          <div
            key={choice.value}
            id={`${id}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === active}
            // Before the click, the press would take the focus from the field and close the list.
            onPointerDown={(event) => event.preventDefault()}
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => choose(choice.value)}
          >
            <span class="mono">{choice.value}</span>
            {choice.note && <span class="note">{choice.note()}</span>}
          </div>
        ))}
        {isOpen && shown.length === 0 && (
          <p class="note">{free ? "Enter takes what you typed." : "None is left to choose."}</p>
        )}
        {fitting.length > shown.length && (
          <p class="note">{fitting.length - shown.length} more: type to narrow the list.</p>
        )}
      </div>
    </div>
  );
}
