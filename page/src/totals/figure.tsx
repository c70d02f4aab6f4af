/** One total: its name, its value, and its difference to the pinned build's. */

import { exact, signed } from "../ui/format";

export function Figure({
  name,
  value,
  base,
  format,
  more = "",
}: {
  name: string;
  value: number | undefined;
  base: number | undefined;
  format: (value: number) => string;
  /** What follows the exact number in the title. */
  more?: string;
}) {
  const change = value === undefined || base === undefined ? undefined : value - base;
  const direction = !change ? "same" : change > 0 ? "more" : "less";
  return (
    <div class="figure">
      <dt>{name}</dt>
      <dd>
        <span class="figure-value" title={value === undefined ? "" : `${exact(value)}${more}`}>
          {value === undefined ? "–" : format(value)}
        </span>
        <span
          class={`figure-change is-${direction}`}
          title={change ? `${signed(change, exact)} to the pinned build` : ""}
        >
          {change !== undefined && signed(change, format)}
        </span>
      </dd>
    </div>
  );
}
