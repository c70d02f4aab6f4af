/** The spec that is being edited, with levels that are switched off, and its undo history. */

import { computed, signal } from "@preact/signals";

/**
 * A level of scopes as a request writes it: ops and args, or the name of a saved scope.
 *
 * The raw JSON may hold anything, and all of it is kept and sent: the fields look before they read.
 */
export interface Level {
  readonly ops?: readonly string[];
  readonly args?: Readonly<Record<string, unknown>>;
  readonly layers?: readonly string[];
  readonly except?: readonly string[];
  readonly force?: boolean;
  readonly include?: string;
  readonly saved?: string;
}

/** A level with an identity that survives moves, so that a block keeps its focus and its colour. */
export interface DraftLevel {
  readonly key: string;
  readonly enabled: boolean;
  readonly level: Level;
}

/** `fields` are all members of the spec but `scopes`, as they were written: what is absent is default. */
export interface Draft {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly levels: readonly DraftLevel[];
}

/** A spec as it is sent: the wire format's names, defaults left out. */
export type Spec = Record<string, unknown> & { architecture?: unknown; scopes?: readonly Level[] };

const EMPTY: Draft = { fields: { architecture: "inception_v3" }, levels: [] };
const MAX_UNDO = 200;

export const draft = signal<Draft>(EMPTY);

const past = signal<readonly Draft[]>([]);
const future = signal<readonly Draft[]>([]);
export const canUndo = computed(() => past.value.length > 0);
export const canRedo = computed(() => future.value.length > 0);

let lastGroup: string | undefined;
let keys = 0;

export function levelKey(): string {
  keys += 1;
  return `level-${keys}`;
}

/**
 * Returns the draft of a spec.
 *
 * Levels that `previous` has too keep their keys, and so do those between them, as far as there are
 * as many; the levels of `previous` that are switched off stay where they are.
 */
export function draftOf(spec: Spec, previous?: Draft): Draft {
  const { scopes = [], ...fields } = spec;
  if (!Array.isArray(scopes)) return { fields: { ...fields, scopes }, levels: [] };
  const before = (previous?.levels ?? []).filter((each) => each.enabled);
  const texts = before.map((each) => JSON.stringify(each.level));
  const isSame = (level: Level, index: number) => JSON.stringify(level) === texts[index];
  const shift = scopes.length - before.length;
  const shorter = Math.min(scopes.length, before.length);
  let head = 0;
  while (head < shorter && isSame(scopes[head], head)) head += 1;
  let tail = scopes.length;
  while (tail > scopes.length - shorter + head && isSame(scopes[tail - 1], tail - 1 - shift)) {
    tail -= 1;
  }
  const levels: DraftLevel[] = scopes.map((level: Level, index) => {
    const old = index >= tail ? before[index - shift] : before.slice(0, tail - shift)[index];
    return { key: old?.key ?? levelKey(), enabled: true, level };
  });
  // Each level that is switched off stays behind the one that it stood behind.
  let place = 0;
  for (const each of previous?.levels ?? []) {
    if (each.enabled) {
      const now = levels.findIndex((level) => level.key === each.key);
      if (now >= 0) place = now + 1;
    } else {
      levels.splice(place, 0, each);
      place += 1;
    }
  }
  return { fields, levels };
}

/** Returns the spec that is sent: without the levels that are switched off. */
export function specOf(draft: Draft): Spec {
  const scopes = enabledLevels(draft).map((each) => each.level);
  return scopes.length > 0 ? { ...draft.fields, scopes } : { ...draft.fields };
}

export function enabledLevels(draft: Draft): DraftLevel[] {
  return draft.levels.filter((each) => each.enabled);
}

/** Returns the pointer of a level in the spec that is sent; undefined if it is switched off. */
export function levelPointer(draft: Draft, key: string): string | undefined {
  const index = enabledLevels(draft).findIndex((each) => each.key === key);
  return index < 0 ? undefined : `/scopes/${index}`;
}

/**
 * Replaces the draft by what `change` returns for it; the change can be undone.
 *
 * Consecutive changes of one `group`, such as keys pressed in one field, are undone together.
 */
export function edit(change: (draft: Draft) => Draft, group?: string): void {
  const before = draft.value;
  const after = change(before);
  if (after === before) return;
  if (group === undefined || group !== lastGroup) {
    past.value = [...past.value.slice(-MAX_UNDO + 1), before];
  }
  lastGroup = group;
  future.value = [];
  draft.value = after;
}

/** Replaces the whole draft by a spec; the change can be undone. */
export function open(spec: Spec): void {
  edit(() => draftOf(spec));
}

export function undo(): void {
  step(past, future);
}

export function redo(): void {
  step(future, past);
}

function step(from: typeof past, to: typeof past): void {
  const target = from.value.at(-1);
  if (target === undefined) return;
  from.value = from.value.slice(0, -1);
  to.value = [...to.value, draft.value];
  lastGroup = undefined;
  draft.value = target;
}

// Edits of levels ------------------------------------------------------------------------------

export function setField(name: string, value: unknown, group?: string): void {
  edit((draft) => {
    const { [name]: _, ...others } = draft.fields;
    return { ...draft, fields: value === undefined ? others : { ...draft.fields, [name]: value } };
  }, group);
}

/** The level whose block takes the focus, by its key; "" asks for the button that adds one. */
export const focusedLevel = signal<string | null>(null);

/** Adds a level, by default as the innermost, and returns its key; its block takes the focus. */
export function addLevel(level: Level, index?: number): string {
  const added: DraftLevel = { key: levelKey(), enabled: true, level };
  edit((draft) => ({
    ...draft,
    levels: draft.levels.toSpliced(index ?? draft.levels.length, 0, added),
  }));
  focusedLevel.value = added.key;
  return added.key;
}

export function removeLevel(key: string): void {
  edit((draft) => ({ ...draft, levels: draft.levels.filter((each) => each.key !== key) }));
}

/** Moves a level to the place `index` of the list without it; 0 is outermost. */
export function moveLevel(key: string, index: number): void {
  edit((draft) => {
    const from = draft.levels.findIndex((each) => each.key === key);
    const moved = draft.levels[from];
    if (moved === undefined || from === index) return draft;
    return { ...draft, levels: draft.levels.toSpliced(from, 1).toSpliced(index, 0, moved) };
  });
}

export function changeLevel(
  key: string,
  change: (level: DraftLevel) => DraftLevel,
  group?: string,
): void {
  edit(
    (draft) => ({
      ...draft,
      levels: draft.levels.map((each) => (each.key === key ? change(each) : each)),
    }),
    group,
  );
}
