/** Every build since the page was opened, the newest first: what changed, and what came of it. */

import { useRef } from "preact/hooks";
import { pin, pinned, type Tried, tried } from "../build/history";
import { open } from "../spec/draft";
import { exact, short, signed } from "../ui/format";
import { VirtualBody } from "../ui/virtual_body";
import { changes } from "./describe";
import { useRovingRows } from "./roving";
import { choiceA, choiceB, dateOf, live, sideA, sideB, timeOf } from "./sides";

const ROW_PX = 38;
const HEAD_PX = 30;
const COLUMNS = ["Time", "What changed", "Parameters", "Multiply-adds", "Warnings", "Use"];

export function History() {
  const all = tried.value;
  const scroller = useRef<HTMLDivElement>(null);
  const { indices, current, setCurrent, onKeyDown } = useRovingRows(
    scroller,
    all.length,
    ROW_PX,
    HEAD_PX,
  );
  if (all.length === 0) return <p class="empty">No build has been traced yet.</p>;
  return (
    <div class="history-scroller" ref={scroller}>
      <table class="history" aria-rowcount={all.length + 1} onKeyDown={onKeyDown}>
        <caption class="visually-hidden">Builds since the page was opened, newest first</caption>
        <thead>
          <tr aria-rowindex={1}>
            {COLUMNS.map((title) => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <VirtualBody
          indices={indices}
          count={all.length}
          height={ROW_PX}
          row={(index) => {
            const place = all.length - 1 - index;
            const build = all[place];
            return build === undefined ? null : (
              <HistoryRow
                key={build.id}
                build={build}
                before={all[place - 1] ?? null}
                index={index}
                isCurrent={index === current}
                enter={() => setCurrent(index)}
              />
            );
          }}
        />
      </table>
    </div>
  );
}

function HistoryRow({
  build,
  before,
  index,
  isCurrent,
  enter,
}: {
  build: Tried;
  before: Tried | null;
  index: number;
  isCurrent: boolean;
  enter: () => void;
}) {
  const base = pinned.value;
  const isPinned = base?.id === build.id;
  const isLive = live.value?.id === build.id;
  const name = `${build.normalized.architecture} of ${timeOf(build)}`;
  return (
    <tr
      class={isLive ? "history-live" : ""}
      data-index={index}
      aria-rowindex={index + 2}
      onFocusCapture={enter}
    >
      <td title={`${dateOf(build)}, build ${build.id}`}>{timeOf(build)}</td>
      <th scope="row">
        <WhatChanged build={build} before={before} />
      </th>
      <NumberCell of={build} base={base} field="parameters" />
      <NumberCell of={build} base={base} field="multiply_adds" />
      <td>{build.warnings === 0 ? "none" : `⚠ ${exact(build.warnings)}`}</td>
      <td class="history-actions">
        <Action
          action="restore"
          title={isLive ? "Live" : "Restore"}
          label={isLive ? `Live: ${name}` : `Restore ${name}`}
          isCurrent={isCurrent}
          disabled={isLive}
          act={() => open(build.spec)}
        />
        <Action
          action="pin"
          title={isPinned ? "Pinned" : "Pin"}
          label={isPinned ? `Pinned: ${name}` : `Pin ${name}`}
          isCurrent={isCurrent}
          isPressed={isPinned}
          act={() => pin(isPinned ? null : build.id)}
        />
        <Action
          action="a"
          title="A"
          label={`Compare ${name} as A`}
          isCurrent={isCurrent}
          isPressed={sideA.value?.id === build.id}
          act={() => {
            choiceA.value = build.id;
          }}
        />
        <Action
          action="b"
          title="B"
          label={`Compare ${name} as B`}
          isCurrent={isCurrent}
          isPressed={sideB.value?.id === build.id}
          act={() => {
            choiceB.value = build.id;
          }}
        />
      </td>
    </tr>
  );
}

function WhatChanged({ build, before }: { build: Tried; before: Tried | null }) {
  const { architecture } = build.normalized;
  if (before === null) return <span class="mono">{architecture}</span>;
  const lines = changes(before.spec, build.spec);
  const [first = "the same spec, written otherwise", ...others] = lines;
  return (
    <span class="history-change" title={lines.join("\n")}>
      {first}
      {others.length > 0 && <em>, and {others.length} more</em>}
    </span>
  );
}

function NumberCell({
  of,
  base,
  field,
}: {
  of: Tried;
  base: Tried | null;
  field: "parameters" | "multiply_adds";
}) {
  const number = of.totals[field];
  const difference = base && base.id !== of.id ? number - base.totals[field] : null;
  return (
    <td title={exact(number)}>
      {short(number)}
      {difference !== null && (
        <span class="history-difference" title={`${signed(difference, exact)} to the pinned build`}>
          {signed(difference, short)}
        </span>
      )}
    </td>
  );
}

function Action({
  action,
  title,
  label,
  isCurrent,
  isPressed,
  disabled = false,
  act,
}: {
  action: "restore" | "pin" | "a" | "b";
  title: string;
  label: string;
  isCurrent: boolean;
  isPressed?: boolean;
  disabled?: boolean;
  act: () => void;
}) {
  return (
    <button
      type="button"
      data-action={action}
      aria-label={label}
      aria-pressed={isPressed}
      // Not disabled: the arrow keys lead through it.
      aria-disabled={disabled}
      tabIndex={isCurrent ? 0 : -1}
      onClick={() => {
        if (!disabled) act();
      }}
    >
      {title}
    </button>
  );
}
