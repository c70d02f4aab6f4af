/** The levels as nested blocks, outermost first, and their order by drag and drop. */

import { computed } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { want } from "../build/live";
import { levelPlaces } from "../build/places";
import { setterClass } from "../provenance/setters";
import { addLevel, type DraftLevel, draft, focusedLevel, moveLevel } from "../spec/draft";
import { exact } from "../ui/format";
import { say } from "../ui/say";
import { placeInWords } from "./actions";
import { Block } from "./block";
import { callsByOp } from "./fates";
import { SaveLevels } from "./saved";

/** Of more levels than these, only the heads are shown until one is opened. */
const MAX_OPEN_AT_FIRST = 8;

/** A spec holds at most 64. Thousands of blocks, from a link, would stop the page for minutes. */
const MAX_SHOWN = 256;

/** How far a level stands inside the one around it: less, the more there are. */
export function indentOf(count: number): number {
  return Math.min(10, 60 / Math.max(1, count - 1));
}

/** Returns the op that a new level begins with: a level without one is a mistake. */
function firstOp(): string {
  const calls = [...callsByOp.peek()].sort(([, a], [, b]) => b - a);
  return calls.some(([op]) => op === "conv2d") ? "conv2d" : (calls[0]?.[0] ?? "conv2d");
}

const levels = computed(() => draft.value.levels);

export function Levels() {
  useEffect(() => want("explanation"), []);
  const all = levels.value;
  const shown = all.slice(0, MAX_SHOWN);
  const places = levelPlaces.value;
  const opensFirst = all.length <= MAX_OPEN_AT_FIRST;
  const add = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (focusedLevel.value !== "") return;
    focusedLevel.value = null;
    add.current?.focus();
  }, [focusedLevel.value]);
  const enabledKeys = [...places.keys()];
  return (
    <section class="levels" aria-label="Levels">
      <h2>Levels</h2>
      {all.length === 0 && (
        <p class="note">
          No level yet: the network is as its default scope makes it. A level sets arguments of all
          calls of some ops.
        </p>
      )}
      <DropList count={shown.length}>
        {shown.map((each, index) => {
          const enabledIndex = enabledKeys.indexOf(each.key);
          return (
            <Nested key={each.key} each={each} index={index} all={shown}>
              <Block
                each={each}
                index={index}
                enabledIndex={enabledIndex < 0 ? undefined : enabledIndex}
                place={places.get(each.key)}
                count={all.length}
                opensFirst={opensFirst}
              />
            </Nested>
          );
        })}
      </DropList>
      {all.length > MAX_SHOWN && (
        <p class="note">
          {exact(all.length - MAX_SHOWN)} more levels are not shown here. The JSON has them all.
        </p>
      )}
      <div class="level-actions">
        <button ref={add} type="button" onClick={() => addLevel({ ops: [firstOp()], args: {} })}>
          Add a level
        </button>
        <button type="button" class="quiet" onClick={() => addLevel({ include: "" })}>
          Add a saved scope
        </button>
        {all.length > 0 && <SaveLevels />}
      </div>
    </section>
  );
}

/** A level's place in the list, with the edges of all the levels around it. */
function Nested({
  each,
  index,
  all,
  children,
}: {
  each: DraftLevel;
  index: number;
  all: readonly DraftLevel[];
  children: ComponentChildren;
}) {
  const places = levelPlaces.value;
  const step = indentOf(all.length);
  const edges = all.slice(0, index).map((outer) => {
    const place = places.get(outer.key);
    return place === undefined ? "is-off" : setterClass({ by: "level", index: place });
  });
  // One gradient for each edge: an element for each would be 2,000 of 64 levels.
  const background = edges
    .map(
      (name, depth) =>
        `linear-gradient(var(--${name}), var(--${name})) ${depth * step}px 0 / 3px 100% no-repeat`,
    )
    .join(", ");
  return (
    <li
      data-level={each.key}
      style={{ paddingLeft: `${index * step}px`, ...(background && { background }) }}
    >
      {children}
    </li>
  );
}

/** Takes the drops: a level that is dropped on the upper half of another goes outside it. */
function DropList({ count, children }: { count: number; children: ComponentChildren }) {
  const list = useRef<HTMLOListElement>(null);
  const [dragged, setDragged] = useState<string | null>(null);
  const [target, setTarget] = useState<number | null>(null);
  const items = () => [...(list.current?.children ?? [])] as HTMLElement[];
  const gapAt = (y: number) => {
    const index = items().findIndex((item) => {
      const { top, height } = item.getBoundingClientRect();
      return y < top + height / 2;
    });
    return index < 0 ? count : index;
  };
  const end = () => {
    setDragged(null);
    setTarget(null);
  };
  useEffect(() => {
    items().forEach((item, index) => {
      item.classList.toggle("is-drop-before", target === index);
      item.classList.toggle("is-drop-after", target === count && index === count - 1);
      item.classList.toggle("is-dragged", item.dataset.level === dragged);
    });
  });
  return (
    <ol
      ref={list}
      class="level-list"
      onDragStart={(event) => {
        const item = (event.target as HTMLElement).closest<HTMLElement>("[data-level]");
        const key = item?.dataset.level;
        if (!item || key === undefined) return;
        event.dataTransfer?.setData("text/plain", key);
        event.dataTransfer?.setDragImage(item, 20, 14);
        setDragged(key);
      }}
      onDragOver={(event) => {
        // A picture or a file that is dragged over the levels is none of them.
        if (dragged === null) return;
        event.preventDefault();
        setTarget(gapAt(event.clientY));
      }}
      onDragLeave={(event) => {
        if (!list.current?.contains(event.relatedTarget as Node | null)) setTarget(null);
      }}
      onDragEnd={end}
      onDrop={(event) => {
        if (dragged === null) return;
        event.preventDefault();
        const from = items().findIndex((item) => item.dataset.level === dragged);
        const gap = gapAt(event.clientY);
        const to = gap > from ? gap - 1 : gap;
        if (to !== from) {
          moveLevel(dragged, to);
          say(placeInWords(to, count));
        }
        end();
      }}
    >
      {children}
    </ol>
  );
}
