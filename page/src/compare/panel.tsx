/** Two builds side by side, and every build since the page was opened. */

import { tried } from "../build/history";
import { type Tab, Tabs } from "../ui/tabs";
import { DiffView } from "./diff_view";
import { History } from "./history_table";
import { part } from "./sides";
import "./compare.css";

export function Compare() {
  const parts: readonly Tab<"diff" | "history">[] = [
    { id: "diff", title: "Diff", Panel: DiffView },
    { id: "history", title: `History (${tried.value.length})`, Panel: History },
  ];
  return (
    <div class="compare">
      <Tabs
        label="Compare"
        tabs={parts}
        chosen={part.value}
        choose={(id) => {
          part.value = id;
        }}
      />
    </div>
  );
}
