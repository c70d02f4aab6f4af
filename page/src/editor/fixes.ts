/** What can be done about a mistake with one press: its suggestion taken, or the member taken away. */

import type { Schemas } from "../api/client";
import { draft } from "../spec/draft";
import { isEqual, isObject } from "./kinds";
import { changeAt, sentValue, tokens, withName, withValue } from "./pointers";

type Mistake = Schemas["ProblemItem"];

export interface Fix {
  readonly title: string;
  readonly apply: () => void;
}

/** Returns whether the mistake is in the name of the member that its pointer leads to. */
export function isInName(mistake: Mistake, value: unknown): boolean {
  return mistake.received === tokens(mistake.pointer).at(-1) && !isEqual(value, mistake.received);
}

export function fixesOf(mistake: Mistake): readonly Fix[] {
  const { pointer, suggestion } = mistake;
  const value = sentValue(draft.peek(), pointer);
  if (value === undefined) return [];
  const inName = isInName(mistake, value);
  const fixes: Fix[] = [];
  if (suggestion !== null) {
    // A function with arguments of its own keeps them: the service says if they do not fit.
    const inner = isObject(value) && value.name === mistake.received ? ["name"] : [];
    const apply = () =>
      changeAt(draft.peek(), pointer, (document, path) =>
        inName
          ? withName(document, path, suggestion)
          : withValue(document, [...path, ...inner], suggestion),
      );
    fixes.push({ title: `Use ${suggestion}`, apply });
  }
  if (inName) {
    const apply = () =>
      changeAt(draft.peek(), pointer, (document, path) => withValue(document, path, undefined));
    fixes.push({ title: `Remove ${String(mistake.received)}`, apply });
  }
  return fixes;
}
