/** A button that opens a panel beside it; Escape, and a press elsewhere, close it. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import "./popover.css";

export function Popover({
  button,
  title,
  label,
  class: className = "",
  children,
}: {
  /** What stands on the button. */
  button: ComponentChildren;
  title?: string;
  /** The name of the panel. */
  label: string;
  class?: string;
  children: (close: () => void) => ComponentChildren;
}) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const close = () => {
    setOpen(false);
    root.current?.querySelector("button")?.focus();
  };
  useEffect(() => {
    if (!isOpen) return;
    const onPress = (event: PointerEvent) => {
      if (!(event.target instanceof Node && root.current?.contains(event.target))) setOpen(false);
    };
    document.addEventListener("pointerdown", onPress);
    return () => document.removeEventListener("pointerdown", onPress);
  }, [isOpen]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it catches Escape from what is inside
    <div
      class={`popover ${className}`}
      ref={root}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !isOpen) return;
        event.stopPropagation();
        close();
      }}
    >
      <button type="button" aria-expanded={isOpen} title={title} onClick={() => setOpen(!isOpen)}>
        {button}
      </button>
      {isOpen && (
        <section class="popover-panel" aria-label={label}>
          {children(close)}
        </section>
      )}
    </div>
  );
}
