/** The named models, what is in memory, and the worker, as the service last told. */

import { computed, signal } from "@preact/signals";
import { get, path, type Schemas, send } from "../api/client";
import { polled } from "./polling";

export type Model = Schemas["Model"];
export type Statistics = Schemas["V2ModelStatistics"];

const PAGE_SIZE = 200;

/** Every version of every named model, the newest first. */
export const models = polled(async () => {
  const all: Model[] = [];
  let next: string | null = `v1/models?limit=${PAGE_SIZE}`;
  while (next !== null) {
    const page: Schemas["Models"] = await get<"Models">(next);
    all.push(...page.models);
    next = page.next;
  }
  return all;
});

/** By name and version; a build without a name is there by its id, once it was used. */
export const statistics = polled(async () => {
  const { model_stats: all } = await get<"V2Statistics">("v2/models/stats");
  return new Map(all.map((each) => [versionKey(each.name, each.version), each]));
});

export const health = polled(() => get<"Health">("healthz"));

/** How many networks are in memory, and their bytes. */
export const memory = polled(async () => {
  const text = await (await send("metrics")).text();
  return { models: gauge(text, "zoo_cache_models"), bytes: gauge(text, "zoo_cache_bytes") };
});

export const memoryLimit = polled(async () => {
  const { limits } = await get<"Limits">("v1/limits");
  return limits.find((each) => each.name === "max_models_bytes") ?? null;
});

export async function refreshAll(): Promise<void> {
  await Promise.all([
    models.refresh(),
    statistics.refresh(),
    health.refresh(),
    memory.refresh(),
    ...(memoryLimit.value.peek() === null ? [memoryLimit.refresh()] : []),
  ]);
  await Promise.all([learnBuilds(), learnRuntimes()]);
}

export function versionKey(name: string, version: number | string): string {
  return `${name}/${version}`;
}

/** Returns the value of a metric without labels; null if it is not there. */
export function gauge(text: string, name: string): number | null {
  const value = new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1];
  return value === undefined ? null : Number(value);
}

export function bytesInMemory(stats: Statistics | undefined): number {
  return stats?.memory_usage.reduce((sum, usage) => sum + usage.byte_size, 0) ?? 0;
}

/** The versions by name, the names in order. */
export const byName = computed(() => {
  const groups = new Map<string, Model[]>();
  for (const model of models.value.value ?? []) {
    groups.set(model.name, [...(groups.get(model.name) ?? []), model]);
  }
  for (const versions of groups.values()) versions.sort((a, b) => b.version - a.version);
  return new Map([...groups].sort(([a], [b]) => a.localeCompare(b)));
});

const BUILD_ID = /^[0-9a-f]{32}$/;

/** The builds in memory that no named version runs in the same way. */
export const unnamed = computed(() => {
  const named = new Set(
    (models.value.value ?? [])
      .filter(({ options }) => options.engine === null && options.precision === null)
      .map((model) => model.build),
  );
  return [...(statistics.value.value?.values() ?? [])].filter(
    (each) => BUILD_ID.test(each.name) && !named.has(each.name) && bytesInMemory(each) > 0,
  );
});

// What the lists leave out -----------------------------------------------------------------------

/** The builds that are shown, by id; a build never changes. */
export const builds = signal<ReadonlyMap<string, Schemas["Build"]>>(new Map());
/** Engine, precision and measured difference of the versions in memory. */
export const runtimes = signal<ReadonlyMap<string, Readonly<Record<string, string>>>>(new Map());

async function learnBuilds(): Promise<void> {
  const ids = [
    ...(models.value.peek() ?? []).map((model) => model.build),
    ...unnamed.peek().map((each) => each.name),
  ];
  const missing = [...new Set(ids)].filter((id) => !builds.peek().has(id));
  if (missing.length === 0) return;
  const found = await Promise.all(
    missing.map((id) => get<"Build">(path`v1/builds/${id}`).catch(() => null)),
  );
  const known = found.filter((build) => build !== null);
  builds.value = new Map([...builds.peek(), ...known.map((build) => [build.id, build] as const)]);
}

async function learnRuntimes(): Promise<void> {
  const ready = (models.value.peek() ?? [])
    .filter((model) => model.state === "ready")
    .map(({ name, version }) => ({ name, version: String(version) }));
  const all = [...ready, ...unnamed.peek().map(({ name }) => ({ name, version: "1" }))];
  const known = runtimes.peek();
  const entries = await Promise.all(
    all.map(async ({ name, version }) => {
      const key = versionKey(name, version);
      const before = known.get(key);
      if (before) return [key, before] as const;
      const route = path`v2/models/${name}/versions/${version}`;
      const metadata = await get<"V2ModelMetadata">(route).catch(() => null);
      return [key, metadata?.properties ?? {}] as const;
    }),
  );
  runtimes.value = new Map(entries);
}
