/** Try a picture: choose one, and see what the live build makes of it. */

import { effect, untracked } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { liveBuild } from "../build/live";
import { Chooser } from "./chooser";
import { EndPoints } from "./end_points_view";
import { choose, input } from "./input";
import { Outcomes } from "./outcomes";
import { follows, isCurrent, result, run } from "./run";
import { Status } from "./status";
import "./picture.css";

/** Edits come in bursts, and each run stores a build. */
const FOLLOW_AFTER_MS = 400;

export function Picture() {
  const [isOver, setOver] = useState(false);
  useEffect(runOnNewInput, []);
  useEffect(followEdits, []);
  useEffect(() => {
    document.addEventListener("paste", onPaste);
    return () => document.removeEventListener("paste", onPaste);
  }, []);
  const last = result.value;
  return (
    <section
      class={isOver ? "picture is-over" : "picture"}
      aria-label="Try a picture"
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOver(false);
      }}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        chooseFirst(event.dataTransfer);
      }}
    >
      <Chooser />
      <div class="picture-results">
        <Status />
        {last && (
          <div class={isCurrent.value ? "picture-result" : "picture-result is-stale"}>
            <Outcomes result={last} />
            <EndPoints result={last} />
          </div>
        )}
      </div>
    </section>
  );
}

function chooseFirst(data: DataTransfer | null): boolean {
  const file = data?.files[0];
  if (file) void choose(file, file.name);
  return file !== undefined;
}

function onPaste(event: ClipboardEvent): void {
  if (chooseFirst(event.clipboardData)) event.preventDefault();
}

/** A new picture is tried at once. */
function runOnNewInput(): () => void {
  let seen = input.peek();
  return effect(() => {
    if (input.value === seen) return;
    seen = input.value;
    untracked(() => void run());
  });
}

/** While the switch is on, and the panel is shown, each edit is tried. */
function followEdits(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = effect(() => {
    liveBuild.value;
    clearTimeout(timer);
    if (!follows.value || input.value === null || isCurrent.value) return;
    timer = setTimeout(() => void run(), FOLLOW_AFTER_MS);
  });
  return () => {
    clearTimeout(timer);
    end();
  };
}
