/** The button that opens the ways to start; they are loaded when it is first pressed. */

import { signal } from "@preact/signals";
import { lazy } from "../ui/lazy";
import { Boundary } from "../ui/problem";

export type StartWay = "presets" | "architectures" | "builds";

export const isStartOpen = signal(false);
/** The way that the dialog shows; it stays for the next time. */
export const startWay = signal<StartWay>("presets");

export function openStart(way: StartWay): void {
  startWay.value = way;
  isStartOpen.value = true;
}

export const START_DIALOG = "start-dialog";

/** Closes the dialog as Escape does, so that the focus goes back to where it was. */
export function closeStart(): void {
  const dialog = document.getElementById(START_DIALOG);
  if (dialog instanceof HTMLDialogElement) dialog.close();
}

const StartDialog = lazy(() => import("./dialog").then((module) => module.StartDialog));

export function StartButton() {
  return (
    <>
      <button
        type="button"
        aria-haspopup="dialog"
        onClick={() => {
          isStartOpen.value = true;
        }}
      >
        Start
      </button>
      {isStartOpen.value && (
        <div class="start-place">
          <Boundary>
            <StartDialog />
          </Boundary>
        </div>
      )}
    </>
  );
}
