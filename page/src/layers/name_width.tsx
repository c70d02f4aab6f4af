/** The width of the column of names, which a handle at its edge changes. */

import { computed, signal } from "@preact/signals";
import { liveBuild } from "../build/live";
import { commonScope } from "./rows";

const STEP = 24;
const LEAST = 96;

/** In pixels; null as long as the names decide. */
const chosen = signal<number | null>(null);

// Room for most names of small networks; those of large ones would fill the panel.
const ownWidth = computed(() => {
  const names = liveBuild.value?.layers.map((layer) => layer.name) ?? [];
  const root = commonScope(names).length;
  const longest = names.reduce((most, name) => Math.max(most, name.length - root), 0);
  return `${Math.min(24, Math.max(18, longest + 4))}ch`;
});

export const nameWidth = computed(() =>
  chosen.value === null ? ownWidth.value : `${chosen.value}px`,
);

/** Drag it, or use the arrow keys; a double click gives the width back to the names. */
export function NameWidthHandle() {
  const widen = (handle: Element, by: number) => {
    const now = handle.closest("th")?.getBoundingClientRect().width ?? LEAST;
    chosen.value = Math.max(LEAST, Math.round(now + by));
  };
  return (
    <button
      type="button"
      class="name-width"
      aria-label="Width of the layers' names: arrow keys change it"
      title="Drag to widen; double click to reset"
      onPointerDown={(event) => {
        event.preventDefault();
        event.currentTarget.focus();
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={(event) => {
        if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
        widen(
          event.currentTarget,
          event.clientX - event.currentTarget.getBoundingClientRect().right,
        );
      }}
      onDblClick={() => {
        chosen.value = null;
      }}
      onKeyDown={(event) => {
        const step = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
        if (step === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        widen(event.currentTarget, step);
      }}
    />
  );
}
