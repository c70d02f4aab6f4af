/** One call of an op: its arguments, first those that somebody set. */

import { useEffect, useState } from "preact/hooks";
import { selectedArgument } from "../build/selection";
import { opDescription } from "../catalogue/catalogue";
import { counted } from "../ui/format";
import { ArgumentView } from "./argument";
import type { Argument, Call } from "./setters";

export function CallView({ call }: { call: Call }) {
  const described = opDescription(call.op).value;
  const chosen = selectedArgument.value;
  const chosenName = chosen?.op === call.op ? chosen.argument : null;
  // Null: the chosen one; empty: none.
  const [openName, open] = useState<string | null>(null);
  useEffect(() => open(null), [chosenName]);
  const shown = openName ?? chosenName;
  const set = call.arguments.filter((argument) => argument.kind !== "default");
  // What scopes decided stands first; what the network alone gives is seldom asked for.
  const ordered = [...set.filter(isOfScopes), ...set.filter((each) => !isOfScopes(each))];
  const defaults = call.arguments.filter((argument) => argument.kind === "default");
  const view = (argument: Argument) => (
    <ArgumentView
      key={argument.name}
      call={call}
      argument={argument}
      described={described?.arguments.find((each) => each.name === argument.name)}
      isOpen={shown === argument.name}
      isChosen={chosenName === argument.name}
      toggle={() => {
        open(shown === argument.name ? "" : argument.name);
      }}
    />
  );
  return (
    <section class="call" aria-label={`Call of ${call.op}`}>
      <h3>
        <code>{call.op}</code>
      </h3>
      {described && (
        <p class="call-says">
          <Words text={firstParagraph(described.description)} />
        </p>
      )}
      <p class="call-at">
        called at <code>{call.called_at}</code>
      </p>
      <ul class="set-arguments">{ordered.map(view)}</ul>
      {defaults.length > 0 && (
        <details open={defaults.some((each) => each.name === shown)}>
          <summary>{counted(defaults.length, "default")} of the op</summary>
          <ul class="set-arguments">{defaults.map(view)}</ul>
        </details>
      )}
    </section>
  );
}

function isOfScopes(argument: Argument): boolean {
  return argument.level !== "network" || (argument.beat ?? []).length > 0;
}

function firstParagraph(text: string): string {
  return text.split("\n\n")[0] ?? text;
}

/** A text in which what stands between backticks is code. */
function Words({ text }: { text: string }) {
  return (
    <>
      {text
        .split("`")
        .map((part, index) =>
          index % 2 === 1 ? <code key={`${index} ${part}`}>{part}</code> : part,
        )}
    </>
  );
}
