/** The service's mistakes beside the fields that they point at. */

import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type { Schemas } from "../api/client";
import { liveProblem } from "../build/live";
import { fixesOf } from "./fixes";
import { isWithin } from "./pointers";

export type Mistake = Schemas["ProblemItem"];

/**
 * Returns what `read` gives for `key`, and renders the component again only when that is different.
 *
 * Most answers change what one block of 64 shows. They are compared as JSON: strings are equal by
 * what they say, new lists are never.
 */
export function useSame<T, Key>(key: Key, read: (key: Key) => T): T {
  const text = useMemo(() => computed(() => JSON.stringify(read(key))), [key]).value;
  return useMemo(() => JSON.parse(text) as T, [text]);
}

/** Returns the mistakes at a pointer and inside it; none where the pointer is undefined. */
export function useMistakes(pointer: string | undefined): readonly Mistake[] {
  return useSame(pointer, (outer) =>
    outer === undefined
      ? []
      : (liveProblem.value?.errors ?? []).filter((each) => isWithin(each.pointer, outer)),
  );
}

/** Shows mistakes; the field is described by their sentences, without the buttons: see `invalid`. */
export function Mistakes({ id, mistakes }: { id: string; mistakes: readonly Mistake[] }) {
  if (mistakes.length === 0) return null;
  return (
    <div class="mistakes">
      {mistakes.map((each, index) => (
        <p class="field-mistake" key={each.pointer + each.message}>
          <span id={`${id}-${index}`}>{each.message}</span>
          {fixesOf(each).map((fix) => (
            <button type="button" class="fix" key={fix.title} onClick={fix.apply}>
              {fix.title}
            </button>
          ))}
        </p>
      ))}
    </div>
  );
}

/** Returns the attributes of a control that has mistakes, or none. */
export function invalid(
  id: string,
  mistakes: readonly unknown[],
): { "aria-invalid"?: true; "aria-describedby"?: string } {
  if (mistakes.length === 0) return {};
  const sentences = mistakes.map((_, index) => `${id}-${index}`);
  return { "aria-invalid": true, "aria-describedby": sentences.join(" ") };
}
