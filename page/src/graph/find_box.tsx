/** A field that finds a node or a scope by a part of its name, and leads to it. */

import { useId, useMemo, useState } from "preact/hooks";
import { type Item, ROOT, type Tree } from "./tree";

const MOST_SHOWN = 8;
/** Preact's types know a combobox by its `list`, which is the browser's own, not ours. */
const NO_LIST = { list: undefined };

export function FindBox({ tree, find }: { tree: Tree; find: (id: string) => void }) {
  const [text, setText] = useState("");
  const [isOpen, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const list = useId();
  const all = useMemo(() => matches(tree, text), [tree, text]);
  const shown = all.slice(0, MOST_SHOWN);
  const choose = (item: Item | undefined) => {
    if (item === undefined) return;
    setOpen(false);
    find(item.id);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter") choose(shown[at]);
    else if (event.key === "Escape") setOpen(false);
    else if (event.key === "ArrowDown") setAt(Math.min(shown.length - 1, at + 1));
    else if (event.key === "ArrowUp") setAt(Math.max(0, at - 1));
    else return;
    event.preventDefault();
  };
  const isShown = isOpen && text !== "";
  return (
    <div class="find-box">
      <input
        type="text"
        role="combobox"
        {...NO_LIST}
        aria-label="Find a node or a scope"
        aria-autocomplete="list"
        aria-expanded={isShown && shown.length > 0}
        aria-controls={list}
        aria-activedescendant={isShown && shown[at] ? `${list}-${at}` : undefined}
        placeholder="Find a node"
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
          setOpen(true);
        }}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onKeyDown={onKeyDown}
      />
      <div
        id={list}
        role="listbox"
        aria-label="Nodes and scopes"
        hidden={!isShown || shown.length === 0}
      >
        {shown.map((item, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field has the focus, and hears the keys
          <div
            key={item.id}
            id={`${list}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === at}
            // Before the field loses the focus, which closes the list.
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => choose(item)}
          >
            <span>{item.path}</span> <small>{item.op ?? "scope"}</small>
          </div>
        ))}
      </div>
      {isShown && (
        <p class={all.length > 0 ? "visually-hidden" : "find-none"} role="status">
          {all.length === 0 ? `No node has “${text}” in its name.` : `${all.length} found`}
        </p>
      )}
    </div>
  );
}

/** Returns the items with the text in their names, those whose own name begins with it first. */
export function matches(tree: Tree, text: string): Item[] {
  const sought = text.trim().toLowerCase();
  if (sought === "") return [];
  const rank = (item: Item) => {
    const name = item.name.toLowerCase();
    if (name.startsWith(sought)) return 0;
    if (name.includes(sought) || item.op?.includes(sought)) return 1;
    return item.path.toLowerCase().includes(sought) ? 2 : 3;
  };
  return [...tree.items.values()]
    .filter((item) => item.id !== ROOT && rank(item) < 3)
    .sort((a, b) => rank(a) - rank(b) || a.depth - b.depth);
}
