/** What a person pastes to say which network he means. */

import { BUILD_ID } from "../spec/link";

/** Returns the fragment that a text means: an id, a link to the page, or a route of a build. */
export function linkIn(text: string): string {
  const pasted = text.trim();
  if (pasted === "") throw new Error("Paste the id of a build, or a link to this page.");
  const id = pasted.toLowerCase();
  if (BUILD_ID.test(id)) return `#b=${id}`;
  const route = /\/v1\/builds\/([0-9a-f]{32})\b/.exec(pasted);
  if (route) return `#b=${route[1]}`;
  const start = pasted.search(/#|(?<![\w?&=])[bs]=/);
  if (start >= 0) return `#${pasted.slice(start).replace(/^#/, "")}`;
  throw new Error(
    "This is neither a build's id, which has 32 hexadecimal digits, nor a link with #b= or #s=.",
  );
}
