/** Says to a screen reader what an action did, where the eye sees it. */

import { signal } from "@preact/signals";

const said = signal("");

export function say(sentence: string): void {
  // The same sentence twice is no change, and would not be read again.
  said.value = said.peek() === sentence ? `${sentence} ` : sentence;
}

export function Said() {
  return (
    <p class="visually-hidden" aria-live="polite">
      {said}
    </p>
  );
}
