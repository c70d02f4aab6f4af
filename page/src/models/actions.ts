/** What a person can do with a model. */

import { get, jsonRequest, path, post, type Schemas, send } from "../api/client";
import { liveSpec } from "../build/live";
import { open, type Spec } from "../spec/draft";
import { pane } from "../ui/view";
import { type Model, refreshAll } from "./state";

export interface Naming {
  readonly name: string;
  readonly pinned: boolean;
  readonly engine: string | null;
  readonly precision: string | null;
  readonly labels: readonly string[] | null;
  readonly class_names: string | null;
}

/** Returns a request that names a build; pictures or arrays calibrate it in int8. */
function namingRequest(body: unknown, calibration: readonly File[]): RequestInit {
  if (calibration.length === 0) return jsonRequest("PUT", body);
  const form = new FormData();
  form.set("model", JSON.stringify(body));
  for (const file of calibration) form.append("calibration", file);
  return { method: "PUT", body: form };
}

/** Stores the live build, and names it. */
export async function nameLiveBuild(
  { name, ...options }: Naming,
  calibration: readonly File[],
): Promise<Schemas["NamedModel"]> {
  const build = await post<"Build">("v1/builds", liveSpec.peek());
  const body = { build: build.id, ...options };
  const response = await send(path`v1/models/${name}`, namingRequest(body, calibration));
  const named = (await response.json()) as Schemas["NamedModel"];
  await refreshAll();
  return named;
}

/** Loads one version in the background: naming it again as it is does that. */
export async function load({ name, version, build, options }: Model): Promise<void> {
  await send(path`v1/models/${name}`, jsonRequest("PUT", { build, version, ...options }));
  await refreshAll();
}

/** Frees the memory of all versions of a model, or of a build by its id. */
export async function unload(name: string): Promise<void> {
  await send(path`v2/repository/models/${name}/unload`, { method: "POST" });
  await refreshAll();
}

export async function remove({ name, version }: Model): Promise<void> {
  await send(path`v1/models/${name}?version=${String(version)}`, { method: "DELETE" });
  await refreshAll();
}

/** Opens a build in the editor; the edit can be undone. */
export async function openInEditor(build: string): Promise<void> {
  const { spec } = await get<"Build">(path`v1/builds/${build}`);
  open(spec as unknown as Spec);
  pane.value = "editor";
}
