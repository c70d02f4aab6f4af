/** One level: a `with arg_scope([ops], args)` block. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { savedName } from "../build/places";
import { hoveredLevel } from "../build/selection";
import { setterClass } from "../provenance/setters";
import { changeLevel, type DraftLevel, focusedLevel, type Level } from "../spec/draft";
import { exact, value as inWords } from "../ui/format";
import { BlockActions, moveBy } from "./actions";
import { ArgumentsPart } from "./arguments_part";
import { levelSays } from "./fates";
import { Icon } from "./icons";
import { isObject } from "./kinds";
import { invalid, Mistakes, useMistakes, useSame } from "./mistakes";
import { OpsPart, type PlainLevel } from "./ops_part";
import { isWithin, pointerOf, tokens } from "./pointers";
import { ReachPart } from "./reach_part";
import { SavedPart } from "./saved";
import { ValueField } from "./value";

export interface BlockProps {
  readonly each: DraftLevel;
  /** The place among all levels, and among those that are switched on: where problems point. */
  readonly index: number;
  readonly enabledIndex: number | undefined;
  /** The place in the build's spec: the level's number and colour. */
  readonly place: number | undefined;
  readonly count: number;
  readonly opensFirst: boolean;
}

export function isPlain(level: unknown): level is PlainLevel {
  return (
    isObject(level) &&
    Array.isArray(level.ops) &&
    level.ops.every((op) => typeof op === "string") &&
    isObject(level.args)
  );
}

/** Returns a level's ops and arguments in one line. */
export function headOf(level: unknown): { ops: string; args: string } {
  const saved = savedName(level);
  if (saved) return { ops: saved.name, args: "" };
  if (!isPlain(level)) return { ops: inWords(level), args: "" };
  const args = Object.entries(level.args).map(([name, each]) => `${name}=${inWords(each)}`);
  return { ops: level.ops.join(", ") || "no op yet", args: args.join(", ") };
}

export function Block({ each, index, enabledIndex, place, count, opensFirst }: BlockProps) {
  const { key, enabled, level } = each;
  const [isOpen, setOpen] = useState(opensFirst);
  const head = useRef<HTMLButtonElement>(null);
  const pointer = enabledIndex === undefined ? undefined : pointerOf("scopes", enabledIndex);
  const mistakes = useMistakes(pointer);
  const says = useSame(place, levelSays);
  const isHovered = useSame(place, (own) => own !== undefined && hoveredLevel.value === own);
  const colour =
    enabled && place !== undefined ? setterClass({ by: "level", index: place }) : "is-off";
  const isFocused = focusedLevel.value === key;
  useLayoutEffect(() => {
    if (!isFocused) return;
    setOpen(true);
    head.current?.scrollIntoView({ block: "nearest" });
    head.current?.focus();
    focusedLevel.value = null;
  }, [isFocused]);
  const isOver = useRef(false);
  // A level that is switched off or moved while it is pointed at leaves its place to another.
  useLayoutEffect(() => {
    if (isOver.current) hoveredLevel.value = place ?? null;
  }, [place]);
  const hover = (isNow: boolean) => {
    isOver.current = isNow;
    if (isNow) hoveredLevel.value = place ?? null;
    else if (hoveredLevel.peek() === place) hoveredLevel.value = null;
  };
  const change = (next: unknown, group?: string) =>
    changeLevel(key, (before) => ({ ...before, level: next as Level }), group);
  const { ops, args } = headOf(level);
  const number = place ?? "–";
  const saved = savedName(level);
  const own = mistakes.filter((mistake) => !isShownInside(mistake.pointer, pointer, level));
  const mistakesId = `${key}-mistakes`;
  const kind = saved ? (saved.by === "saved" ? "saved" : "include") : "with";
  const isMarked = !isOpen && mistakes.length > own.length;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys are a second way to the buttons
    <div
      class={`block ${colour} ${isHovered ? "is-hovered" : ""}`}
      onPointerEnter={() => hover(true)}
      onPointerLeave={() => hover(false)}
      onFocusIn={() => hover(true)}
      onFocusOut={() => hover(false)}
      onKeyDown={(event) => {
        if (!event.altKey || !/^Arrow(Up|Down)$/.test(event.key)) return;
        event.preventDefault();
        moveBy(key, event.key === "ArrowUp" ? -1 : 1);
      }}
    >
      <div class="block-head">
        <span class="grip" draggable title="Drag to move this level outward or inward" aria-hidden>
          <Icon name="grip" />
        </span>
        <button
          ref={head}
          type="button"
          class="quiet block-title"
          aria-expanded={isOpen}
          aria-describedby={invalid(mistakesId, own)["aria-describedby"]}
          title={args ? `${ops}: ${args}` : ops}
          onClick={() => setOpen(!isOpen)}
        >
          <span class="visually-hidden">Level </span>
          <span class="setter-mark">{number}</span>{" "}
          <span class="block-ops mono">
            <span class="keyword">{kind}</span> {ops}
          </span>
          {!enabled && <span class="visually-hidden"> (switched off)</span>}
        </button>
        <BlockActions each={each} index={index} count={count} number={String(number)} />
      </div>
      {!isOpen && args && (
        <p class="block-args mono" title={args}>
          {args}
        </p>
      )}
      {isMarked && (
        <p class="field-mistake">
          {mistakes.length === 1 ? "A problem" : `${exact(mistakes.length)} problems`} inside
        </p>
      )}
      <Mistakes id={mistakesId} mistakes={own} />
      {isOpen && (
        <div class="block-body">
          {saved ? (
            <SavedPart id={key} saved={saved} mistakes={mistakes} change={change} />
          ) : isPlain(level) ? (
            <>
              <OpsPart
                id={key}
                level={level}
                pointer={pointer}
                mistakes={mistakes}
                change={change}
              />
              <ArgumentsPart
                id={key}
                level={level}
                pointer={pointer}
                mistakes={mistakes}
                says={says}
                change={change}
              />
              <ReachPart
                id={key}
                level={level}
                pointer={pointer}
                mistakes={mistakes}
                change={change}
              />
            </>
          ) : (
            <ValueField
              id={`${key}-json`}
              label={`Level ${number} as JSON`}
              kind={{ is: "json" }}
              value={level}
              optional={false}
              change={change}
            />
          )}
        </div>
      )}
      <LevelNotes warnings={says.warnings} isOpen={isOpen} />
    </div>
  );
}

/** The warnings that stand at no field of the open block. */
function LevelNotes({
  warnings,
  isOpen,
}: {
  warnings: Readonly<Record<string, readonly string[]>>;
  isOpen: boolean;
}) {
  const shown = Object.entries(warnings).flatMap(([inner, texts]) =>
    isOpen && tokens(inner)[0] === "args" && tokens(inner).length > 1 ? [] : texts,
  );
  if (shown.length === 0) return null;
  return (
    <ul class="warnings">
      {shown.map((text) => (
        <li key={text}>{text}</li>
      ))}
    </ul>
  );
}

/** Whether a part of the block shows the mistakes at a pointer; others stand under its head. */
function isShownInside(pointer: string, outer: string | undefined, level: unknown): boolean {
  if (outer === undefined) return false;
  const inner = pointer.slice(outer.length);
  const shown = savedName(level)
    ? ["/include", "/saved"]
    : isPlain(level)
      ? ["/ops", "/args", "/layers", "/except", "/force"]
      : [];
  return shown.some((each) => isWithin(inner, each));
}
