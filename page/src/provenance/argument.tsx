/** One argument of a call: its value, who set it, the values it beat, and how to override it. */

import { useEffect, useRef } from "preact/hooks";
import type { Schemas } from "../api/client";
import { value } from "../ui/format";
import { focusPlace } from "./inspect";
import { SetterMark } from "./mark";
import { OverrideForm } from "./override-form";
import { type Argument, type Call, setterClass, setterName, setterOf } from "./setters";

const KINDS: Record<Argument["kind"], string> = {
  forced: "by force, which beats even the call",
  call: "passed in the call",
  scope: "in a scope around the call",
  default: "nobody set it",
};

export function ArgumentView({
  call,
  argument,
  described,
  isOpen,
  isChosen,
  toggle,
}: {
  call: Call;
  argument: Argument;
  /** What the op says of it; undefined if it is no argument that a scope can give. */
  described: Schemas["ArgumentDescription"] | undefined;
  isOpen: boolean;
  /** Whether it was chosen elsewhere, and is to be scrolled to. */
  isChosen: boolean;
  toggle: () => void;
}) {
  const item = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (isChosen) item.current?.scrollIntoView({ block: "nearest" });
  }, [isChosen]);
  const beat = argument.beat ?? [];
  return (
    <li class={`set-argument ${isOpen ? "is-open" : ""}`} ref={item}>
      <button type="button" class="set-argument-name quiet" aria-expanded={isOpen} onClick={toggle}>
        {argument.name}
      </button>
      <ol class="chain" aria-label={`Who set ${argument.name}`}>
        <Link
          written={argument}
          kind={argument.kind}
          calledAt={call.called_at}
          isWinner
          hasLost={beat.length > 0}
        />
        {beat.map((each, index) => (
          <Link key={`${index} ${each.written_at}`} written={each} />
        ))}
        {argument.more_beaten ? (
          <li class="chain-more">and {argument.more_beaten} more, further out</li>
        ) : null}
      </ol>
      {isOpen && (
        <div class="set-argument-more">
          {described && (
            <p>
              {described.type}
              {"default" in described && (
                <>
                  ; the op's default is <code>{value(described.default)}</code>
                </>
              )}
            </p>
          )}
          {described ? (
            <OverrideForm call={call} argument={argument} />
          ) : (
            <p>The network gives it to this one call; no scope can.</p>
          )}
        </div>
      )}
    </li>
  );
}

/** A value and who wrote it: the winner, or one that was beaten. */
function Link({
  written,
  kind,
  calledAt,
  isWinner = false,
  hasLost = false,
}: {
  written: { value: unknown; level?: Argument["level"]; written_at?: string };
  kind?: Argument["kind"];
  /** Where the call is, which is not said again. */
  calledAt?: string;
  isWinner?: boolean;
  /** Whether the winner beat another value. */
  hasLost?: boolean;
}) {
  const setter = setterOf({
    ...(written.level && { level: written.level }),
    ...(written.written_at && { written_at: written.written_at }),
  });
  const Value = isWinner ? "strong" : "s";
  return (
    <li class={`chain-link ${setterClass(setter)} ${isWinner ? "is-winner" : "is-loser"}`}>
      <SetterMark setter={setter} isBeaten={!isWinner} />
      <span class="chain-words">
        <Value class="chain-value">{value(written.value)}</Value>
        <span class="chain-who">
          {isWinner ? (hasLost ? "wins: " : "") : "beaten: "}
          {setterName(setter)}
          {kind && `, ${KINDS[kind]}`}
        </span>
        {written.written_at && written.written_at !== calledAt && (
          <code class="chain-at">{written.written_at}</code>
        )}
      </span>
      {setter.by === "level" && (
        <button type="button" class="chain-edit" onClick={() => focusPlace(setter.index)}>
          Edit<span class="visually-hidden"> level {setter.index}</span>
        </button>
      )}
    </li>
  );
}
