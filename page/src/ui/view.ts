/** What is shown: other rooms lead to a panel by setting it. */

import { signal } from "@preact/signals";

export type TabId =
  | "layers"
  | "graph"
  | "compare"
  | "sweep"
  | "probe"
  | "picture"
  | "export"
  | "models";

export const tab = signal<TabId>("layers");
/** On a narrow window, which of the two panes is shown. */
export const pane = signal<"editor" | "results">("editor");
