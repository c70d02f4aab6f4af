/** Writes a level that overrides an argument at a layer, or in a block around it. */

import { useId, useState } from "preact/hooks";
import { addLevel, draft, enabledLevels } from "../spec/draft";
import { focusIndex } from "./inspect";
import { blockPatterns, overrideLevel, whyForce } from "./override";
import type { Argument, Call } from "./setters";

export function OverrideForm({ call, argument }: { call: Call; argument: Argument }) {
  const reason = whyForce(argument);
  const [forces, setForce] = useState<boolean | null>(null);
  const force = forces ?? reason !== null;
  const blocks = blockPatterns(call.layer);
  const [chosen, setBlock] = useState<string | null>(null);
  const block = chosen ?? blocks[0] ?? "";
  const id = useId();
  const write = (layers: string) => {
    addLevel(overrideLevel(call.op, argument, layers, force));
    focusIndex(enabledLevels(draft.peek()).length - 1);
  };
  return (
    <div class="override">
      <label>
        <input
          type="checkbox"
          checked={force}
          aria-describedby={`${id}-why`}
          onChange={(event) => setForce(event.currentTarget.checked)}
        />
        <span class="mono">force</span>
      </label>
      <p id={`${id}-why`} class="override-why">
        {reason === null
          ? "An inner level wins here without force."
          : force
            ? `${reason} An inner, forced level wins.`
            : `${reason} Without force, the new level will be beaten.`}
      </p>
      <div class="override-actions">
        <button type="button" class="primary" onClick={() => write(call.layer)}>
          Override here
        </button>
        {blocks.length > 0 && (
          <span class="override-block">
            <button type="button" onClick={() => write(block)}>
              Override in this block
            </button>
            <select
              aria-label="Block"
              value={block}
              onChange={(event) => setBlock(event.currentTarget.value)}
            >
              {blocks.map((each) => (
                <option key={each} value={each}>
                  {each}
                </option>
              ))}
            </select>
          </span>
        )}
      </div>
    </div>
  );
}
