/** What can be done with a whole level: switch it off, move, copy and remove it. */

import {
  addLevel,
  changeLevel,
  type DraftLevel,
  draft,
  focusedLevel,
  moveLevel,
  removeLevel,
} from "../spec/draft";
import { say } from "../ui/say";
import { Icon, type IconName } from "./icons";

/** Moves a level outward (-1) or inward (1), and says where it is then. */
export function moveBy(key: string, step: -1 | 1): void {
  const { levels } = draft.peek();
  const from = levels.findIndex((each) => each.key === key);
  const to = from + step;
  if (from < 0 || to < 0 || to >= levels.length) {
    say(step < 0 ? "This level is the outermost already." : "This level is the innermost already.");
    return;
  }
  const focused = document.activeElement;
  moveLevel(key, to);
  // An element that is moved in the document loses the focus.
  requestAnimationFrame(() => focused instanceof HTMLElement && focused.focus());
  say(placeInWords(to, levels.length));
}

export function placeInWords(index: number, count: number): string {
  const end = index === 0 ? ", the outermost" : index === count - 1 ? ", the innermost" : "";
  return `Moved to place ${index + 1} of ${count}${end}.`;
}

export function BlockActions({
  each: { key, enabled, level },
  index,
  count,
  number,
}: {
  each: DraftLevel;
  index: number;
  count: number;
  number: string;
}) {
  const remove = () => {
    const { levels } = draft.peek();
    const next = levels[index + 1] ?? levels[index - 1];
    removeLevel(key);
    say("Removed a level.");
    // The focus stays among the levels; without any, the editor gives it to the button that adds one.
    focusedLevel.value = next?.key ?? "";
  };
  return (
    <div class="block-actions">
      <IconButton
        label={`Move level ${number} outward`}
        icon="outward"
        hint="Outward (Alt+↑)"
        isIdle={index === 0}
        act={() => moveBy(key, -1)}
      />
      <IconButton
        label={`Move level ${number} inward`}
        icon="inward"
        hint="Inward (Alt+↓)"
        isIdle={index === count - 1}
        act={() => moveBy(key, 1)}
      />
      <IconButton
        label={`Duplicate level ${number}`}
        icon="copy"
        hint="Duplicate"
        act={() => addLevel(level, index + 1)}
      />
      <IconButton label={`Remove level ${number}`} icon="remove" hint="Remove" act={remove} />
      <input
        type="checkbox"
        aria-label={`Level ${number} is on`}
        title={enabled ? "Switch this level off: it stays here, but is not sent" : "Switch it on"}
        checked={enabled}
        onChange={() => changeLevel(key, (each) => ({ ...each, enabled: !each.enabled }))}
      />
    </div>
  );
}

function IconButton({
  label,
  icon,
  hint,
  isIdle = false,
  act,
}: {
  label: string;
  icon: IconName;
  hint: string;
  isIdle?: boolean;
  act: () => void;
}) {
  // Not `disabled`: a button that moved a level to the end would lose the focus.
  return (
    <button
      type="button"
      class="quiet icon"
      aria-label={label}
      aria-disabled={isIdle || undefined}
      title={hint}
      onClick={act}
    >
      <Icon name={icon} />
    </button>
  );
}
