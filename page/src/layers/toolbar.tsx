/** Above the table: the filter, the marked layers, and the choice of columns. */

import type { RefObject } from "preact";
import { markedLayers } from "../build/selection";
import { counted, exact } from "../ui/format";
import { Popover } from "../ui/popover";
import {
  argumentNames,
  choice,
  FACTS,
  resetColumns,
  showArgument,
  showFact,
  shownArguments,
} from "./columns";

export function Toolbar({
  field,
  filter,
  setFilter,
  isMarkedOnly,
  setMarkedOnly,
  shown,
  all,
}: {
  field: RefObject<HTMLInputElement | null>;
  filter: string;
  setFilter: (filter: string) => void;
  isMarkedOnly: boolean;
  setMarkedOnly: (isOnly: boolean) => void;
  shown: number;
  all: number;
}) {
  const marked = markedLayers.value.size;
  return (
    <div class="layers-toolbar">
      <input
        ref={field}
        type="search"
        class="layer-filter"
        placeholder="Filter: text, or a pattern with *"
        aria-label="Filter layers by name or op"
        aria-keyshortcuts="/"
        title="Text in the name or the op, or a pattern with * that fits all of it ( / )"
        spellcheck={false}
        value={filter}
        onInput={(event) => setFilter(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.preventDefault();
          if (filter === "") event.currentTarget.blur();
          setFilter("");
        }}
      />
      <span class="layer-count" role="status">
        {shown === all ? counted(all, "layer") : `${exact(shown)} of ${counted(all, "layer")}`}
      </span>
      {marked > 0 && (
        <span class="marks">
          <button
            type="button"
            aria-pressed={isMarkedOnly}
            onClick={() => setMarkedOnly(!isMarkedOnly)}
          >
            Only the {exact(marked)} marked
          </button>
          <button
            type="button"
            class="quiet"
            onClick={() => {
              markedLayers.value = new Set();
            }}
          >
            Clear marks
          </button>
        </span>
      )}
      <Popover class="column-chooser" button="Columns" label="Columns">
        {() => <Chooser />}
      </Popover>
    </div>
  );
}

function Chooser() {
  const shown = shownArguments.value;
  return (
    <>
      <fieldset>
        <legend>Arguments and who set them</legend>
        {argumentNames.value.map((name) => (
          <label key={name}>
            <input
              type="checkbox"
              checked={shown.includes(name)}
              onChange={(event) => showArgument(name, event.currentTarget.checked)}
            />
            <span class="mono">{name}</span>
          </label>
        ))}
        {argumentNames.value.length === 0 && <p>They are on their way.</p>}
      </fieldset>
      <fieldset>
        <legend>Facts</legend>
        {FACTS.map((fact) => (
          <label key={fact.id} title={fact.hint}>
            <input
              type="checkbox"
              checked={!choice.value.hidden.includes(fact.id)}
              onChange={(event) => showFact(fact.id, event.currentTarget.checked)}
            />
            {fact.title}
          </label>
        ))}
      </fieldset>
      <button type="button" onClick={resetColumns}>
        What matters in this build
      </button>
    </>
  );
}
