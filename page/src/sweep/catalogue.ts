/** What the service says of the architecture and of the ops of the draft. */

import { computed } from "@preact/signals";
import { architecture, opDescription } from "../catalogue/catalogue";
import { draft } from "../spec/draft";
import type { Descriptions } from "./places";

const answers = computed(() => {
  const { fields, levels } = draft.value;
  const ops = new Set<string>();
  for (const { level } of levels) {
    const names: unknown = (level as { ops?: unknown } | null)?.ops;
    for (const op of Array.isArray(names) ? names : []) ops.add(String(op));
  }
  return {
    architecture: architecture(String(fields.architecture)),
    ops: [...ops].map((op) => ({ op, ...opDescription(op) })),
  };
});

export const descriptions = computed<Descriptions>(() => ({
  architecture: answers.value.architecture.value,
  ops: Object.fromEntries(
    answers.value.ops.flatMap(({ op, value }) => (value ? [[op, value]] : [])),
  ),
}));

export const catalogueProblem = computed(
  () => [answers.value.architecture, ...answers.value.ops].find((each) => each.problem)?.problem,
);
