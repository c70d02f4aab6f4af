/** What changed from one spec to the next, in a few words for the history. */

import type { Level, Spec } from "../spec/draft";
import { value } from "../ui/format";

/** Returns a line for each change, none if there is none. */
export function changes(before: Spec, after: Spec): string[] {
  const { scopes: levelsBefore = [], ...fieldsBefore } = before;
  const { scopes: levelsAfter = [], ...fieldsAfter } = after;
  return [
    ...fieldChanges(fieldsBefore, fieldsAfter, ""),
    ...levelChanges(asLevels(levelsBefore), asLevels(levelsAfter)),
  ];
}

type Fields = Readonly<Record<string, unknown>>;

function fieldChanges(before: Fields, after: Fields, at: string): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.flatMap((name) => {
    const [one, other] = [before[name], after[name]];
    if (same(one, other)) return [];
    if (isPlain(one) && isPlain(other)) return fieldChanges(one, other, `${at}${name}.`);
    if (one === undefined) return [`+ ${at}${name}: ${value(other)}`];
    if (other === undefined) return [`− ${at}${name}: ${value(one)}`];
    return [`${at}${name}: ${value(one)} → ${value(other)}`];
  });
}

/** Levels that are the same on both sides stay; of the others between two such, pairs are changed. */
function levelChanges(before: readonly Level[], after: readonly Level[]): string[] {
  const gaps = gapsBetween(before, after);
  const [taken, put] = [gaps.flatMap((gap) => gap.before), gaps.flatMap((gap) => gap.after)];
  const moved = taken.flatMap((from) => {
    const to = put.find((each) => same(after[each], before[from]));
    return to === undefined ? [] : [{ from, to }];
  });
  return [
    ...moved.map(({ from, to }) => `level ${from} moved to ${to}`),
    ...gaps.flatMap((gap) => {
      const removed = gap.before.filter((index) => !moved.some(({ from }) => from === index));
      const added = gap.after.filter((index) => !moved.some(({ to }) => to === index));
      return Array.from({ length: Math.max(removed.length, added.length) }, (_, index) =>
        levelChange(before, after, removed[index], added[index]),
      ).flat();
    }),
  ];
}

function levelChange(
  before: readonly Level[],
  after: readonly Level[],
  from: number | undefined,
  to: number | undefined,
): string[] {
  const one = from === undefined ? undefined : before[from];
  const other = to === undefined ? undefined : after[to];
  if (one === undefined) return [`+ ${levelText(other)} at level ${to}`];
  if (other === undefined) return [`− ${levelText(one)} at level ${from}`];
  return fieldChanges(one as Fields, other as Fields, "").map(
    (change) => `level ${to}: ${change.replace(/^([+−] )?args\./, "$1")}`,
  );
}

/** Returns a level in a line: its ops and arguments, and to which layers it is limited. */
export function levelText(level: unknown): string {
  if (!isPlain(level)) return value(level);
  const { ops, args, ...others } = level;
  const parts = [
    ...(Array.isArray(ops) ? [ops.map(value).join(", ")] : []),
    ...(isPlain(args) ? Object.entries(args).map(([name, each]) => `${name}=${value(each)}`) : []),
    ...Object.entries(others).map(([name, each]) => `${name} ${value(each)}`),
  ];
  return parts.join(" ");
}

interface Gap {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** Returns what lies between the members of the longest common sequence of two lists. */
function gapsBetween(before: readonly Level[], after: readonly Level[]): Gap[] {
  const [one, other] = [before.map(text), after.map(text)];
  // lengths[i][j]: of the longest common sequence of one.slice(i) and other.slice(j).
  const lengths = Array.from({ length: one.length + 1 }, () =>
    new Array<number>(other.length + 1).fill(0),
  );
  const at = (i: number, j: number) => lengths[i]?.[j] ?? 0;
  for (let i = one.length - 1; i >= 0; i -= 1) {
    const row = lengths[i] as number[];
    for (let j = other.length - 1; j >= 0; j -= 1) {
      row[j] = one[i] === other[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const gaps: { before: number[]; after: number[] }[] = [{ before: [], after: [] }];
  let [i, j] = [0, 0];
  while (i < one.length || j < other.length) {
    const gap = gaps.at(-1) as { before: number[]; after: number[] };
    if (i < one.length && j < other.length && one[i] === other[j]) {
      gaps.push({ before: [], after: [] });
      i += 1;
      j += 1;
    } else if (j >= other.length || (i < one.length && at(i + 1, j) >= at(i, j + 1))) {
      gap.before.push(i);
      i += 1;
    } else {
      gap.after.push(j);
      j += 1;
    }
  }
  return gaps;
}

function asLevels(scopes: unknown): readonly Level[] {
  return Array.isArray(scopes) ? scopes : [];
}

function isPlain(each: unknown): each is Fields {
  return typeof each === "object" && each !== null && !Array.isArray(each);
}

function text(each: unknown): string {
  return JSON.stringify(each) ?? "";
}

function same(one: unknown, other: unknown): boolean {
  return text(one) === text(other);
}
