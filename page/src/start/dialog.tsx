/** The ways to start: a preset, a build or a link, or an architecture of the catalogue. */

import { useEffect, useRef } from "preact/hooks";
import { type Tab, Tabs } from "../ui/tabs";
import { Architectures } from "./architectures";
import { Builds } from "./builds";
import { Presets } from "./preset_cards";
import { closeStart, isStartOpen, START_DIALOG, type StartWay, startWay } from "./start";
import "./start.css";

const WAYS: readonly Tab<StartWay>[] = [
  { id: "presets", title: "Presets", Panel: Presets },
  { id: "architectures", title: "Architectures", Panel: Architectures },
  { id: "builds", title: "Build or link", Panel: Builds },
];

export function StartDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  // Not modal from the first render: only showModal keeps the focus inside, and gives it back.
  useEffect(() => {
    dialog.current?.showModal();
    dialog.current?.querySelector<HTMLElement>("[role=tab][aria-selected=true]")?.focus();
  }, []);
  return (
    <dialog
      ref={dialog}
      id={START_DIALOG}
      class="start-dialog"
      closedby="any"
      aria-labelledby="start-title"
      onClose={() => {
        isStartOpen.value = false;
      }}
    >
      <div class="start-frame">
        <div class="start-title">
          <h2 id="start-title">Start from</h2>
          <button type="button" onClick={closeStart}>
            Close
          </button>
        </div>
        <Tabs
          label="Ways to start"
          tabs={WAYS}
          chosen={startWay.value}
          choose={(id) => {
            startWay.value = id;
          }}
        />
      </div>
    </dialog>
  );
}
