/** What the service says of the architecture and of the ops of the draft, asked for once each. */

import { computed, signal } from "@preact/signals";
import { asProblem, get, type Problem, path, type Schemas } from "../api/client";
import { draft } from "../spec/draft";
import type { Descriptions } from "./places";

const architectures = signal<Readonly<Record<string, Schemas["ArchitectureDescription"]>>>({});
const ops = signal<Readonly<Record<string, Schemas["OpDescription"]>>>({});
export const catalogueProblem = signal<Problem | null>(null);
const asked = new Set<string>();

export const descriptions = computed<Descriptions>(() => ({
  architecture: architectures.value[String(draft.value.fields.architecture)],
  ops: ops.value,
}));

/** Asks for what is not known yet of the names in the draft. Names that do not exist stay unknown. */
export function describeDraft(): void {
  const { fields, levels } = draft.value;
  const name = fields.architecture;
  if (typeof name === "string" && name !== "") {
    void ask<"ArchitectureDescription">(path`v1/architectures/${name}`, (each) => {
      architectures.value = { ...architectures.value, [name]: each };
    });
  }
  for (const { level } of levels) {
    const names: unknown = (level as { ops?: unknown } | null)?.ops;
    for (const op of Array.isArray(names) ? names.map(String) : []) {
      void ask<"OpDescription">(path`v1/ops/${op}`, (each) => {
        ops.value = { ...ops.value, [op]: each };
      });
    }
  }
}

async function ask<Name extends keyof Schemas>(
  url: string,
  keep: (answer: Schemas[Name]) => void,
): Promise<void> {
  if (asked.has(url)) return;
  asked.add(url);
  try {
    keep(await get<Name>(url));
    catalogueProblem.value = null;
  } catch (error) {
    const problem = asProblem(error);
    // The editor says which names do not exist.
    if (problem.status === 404) return;
    asked.delete(url);
    catalogueProblem.value = problem;
  }
}
