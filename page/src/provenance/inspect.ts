/** Opens the inspector at a layer or an argument, and the editor at a level. */

import { signal } from "@preact/signals";
import { indexAt, sentPlaces } from "../build/places";
import { selectedArgument, selectedLayer } from "../build/selection";
import { draft, enabledLevels, focusedLevel } from "../spec/draft";
import { pane } from "../ui/view";

/** Whether the inspector shows the selected layer. */
export const isInspecting = signal(false);

let opener: Element | null = null;

/** Selects a layer, and an argument of it if one is given, and shows who set what there. */
export function inspect(layer: string, argument: { op: string; argument: string } | null): void {
  if (!isInspecting.peek()) opener = document.activeElement;
  selectedLayer.value = layer;
  selectedArgument.value = argument;
  isInspecting.value = true;
  pane.value = "results";
}

/** Closes the inspector, and gives the focus back to where it was opened from. */
export function stopInspecting(): void {
  isInspecting.value = false;
  selectedArgument.value = null;
  if (opener instanceof HTMLElement && opener.isConnected) opener.focus({ preventScroll: true });
  opener = null;
}

/** Shows a level in the editor, by its place in the build. */
export function focusPlace(place: number): void {
  focusIndex(indexAt(sentPlaces.peek(), place));
}

/** Shows a level in the editor, by its index in the spec that is sent. */
export function focusIndex(index: number): void {
  focusedLevel.value = null; // the same level may be asked for again
  focusedLevel.value = enabledLevels(draft.peek())[index]?.key ?? null;
  pane.value = "editor";
}

/** Whether an event came from a mark that leads to its level, and so is not about what is around it. */
export function leadsToLevel(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("[data-place]") !== null;
}

/** Lets each element with a `data-place` lead to that level in the editor when it is pressed. */
export function followMarks(): () => void {
  const onClick = (event: MouseEvent) => {
    const { target } = event;
    const mark = target instanceof Element && target.closest<HTMLElement>("[data-place]");
    if (mark) focusPlace(Number(mark.dataset.place));
  };
  document.addEventListener("click", onClick);
  return () => document.removeEventListener("click", onClick);
}
