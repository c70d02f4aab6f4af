/** Where a level of a build stands in the spec that was sent: saved scopes are unfolded in the build. */

/** A saved scope that a level named, and the pointers of its levels in the build's spec. */
interface Use {
  readonly levels: readonly string[];
}

/** Returns the place in the build of the level that a pointer leads into; null for other pointers. */
export function levelPlace(pointer: string): number | null {
  const index = /^\/scopes\/(\d+)/.exec(pointer)?.[1];
  return index === undefined ? null : Number(index);
}

/**
 * Returns, for each level of the build, the index of the level that was sent and stands for it.
 *
 * Counted from the innermost level, because a `saved` drops the levels outside it.
 */
export function sentIndices(sent: readonly object[], uses: readonly Use[]): number[] {
  const left = [...uses];
  const indices: number[] = [];
  for (let index = sent.length - 1; index >= 0; index -= 1) {
    const level = sent[index] ?? {};
    const names = "include" in level || "saved" in level;
    const size = names ? (left.pop()?.levels.length ?? 0) : 1;
    indices.unshift(...Array<number>(size).fill(index));
    if ("saved" in level) break;
  }
  return indices;
}
