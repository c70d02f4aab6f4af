/** The page's address: what it holds is opened, and the draft and the selection are written there. */

import { effect, signal } from "@preact/signals";
import { asProblem, get, path } from "../api/client";
import { rememberKept } from "../build/kept";
import { liveBuild } from "../build/live";
import { selectedLayer } from "../build/selection";
import { draft, draftOf, open, type Spec, specOf } from "../spec/draft";
import { type Link, MAX_LINK_LENGTH, readLink, writeLink } from "../spec/link";
import { PRESETS } from "./presets";

/** A sentence about the address, until the reader dismisses it. */
export const addressNotice = signal<string | null>(null);

/** How long the draft must stay as it is before it is written: typing does not pack each key. */
const SETTLED_MS = 250;

/** The stored build that the draft was opened from, while it is the same. */
let opened: { readonly build: string; readonly text: string } | null = null;
/** The layer that a link names; the network that it opens may not have it. */
let linkedLayer: string | null = null;
let timer = 0;
let writes = 0;
let didFit = true;

/** Opens the spec that the address holds; without one, the first preset. Then follows both ways. */
export async function startAddress(): Promise<void> {
  const { spec = PRESETS[0].spec, layer } = await linkedOrNothing(location.hash);
  draft.value = draftOf(spec);
  select(layer);
  addEventListener("hashchange", () => void followHash());
  let isOpening = true;
  effect(() => {
    draft.value;
    selectedLayer.value;
    if (isOpening) return; // the address is where this came from, and a damaged one can be mended
    clearTimeout(timer);
    timer = window.setTimeout(() => void writeAddress(), SETTLED_MS);
  });
  isOpening = false;
  effect(checkLinkedLayer);
}

/** Opens what a fragment holds, as an edit that can be undone. Throws Error with a sentence. */
export async function openLink(fragment: string): Promise<void> {
  const { spec, layer } = await resolve(fragment);
  if (spec === undefined) throw new Error("The link holds neither a build, #b=, nor a spec, #s=.");
  open(spec);
  select(layer);
  addressNotice.value = null;
}

/** Opens a stored build. Throws ProblemError. */
export function openBuild(id: string): Promise<void> {
  return openLink(`#b=${id}`);
}

/** Returns the shortest link that opens a spec: by its build if that is stored. */
function linkOf(spec: Spec, layer: string | null): Link {
  const text = JSON.stringify(spec);
  const selection = layer === null ? {} : { layer };
  if (opened?.text === text) return { build: opened.build, ...selection };
  if (text === JSON.stringify(PRESETS[0].spec)) return selection; // the page opens with it
  return { spec, ...selection };
}

/** Returns the spec and the layer of a fragment. Throws Error with a sentence, or ProblemError. */
async function resolve(fragment: string): Promise<{ spec?: Spec; layer?: string }> {
  const { build, ...link } = await readLink(fragment);
  if (build === undefined || link.spec) return link;
  const { spec } = await get<"Build">(path`v1/builds/${build}`);
  rememberKept(build);
  opened = { build, text: JSON.stringify(specOf(draftOf(spec))) };
  return { ...link, spec };
}

async function linkedOrNothing(fragment: string): ReturnType<typeof resolve> {
  try {
    return await resolve(fragment);
  } catch (error) {
    addressNotice.value = `${asProblem(error).detail} The first preset is shown instead.`;
    return {};
  }
}

/** A link was pasted into the open page, or its address edited by hand. */
async function followHash(): Promise<void> {
  try {
    const { spec, layer } = await resolve(location.hash);
    addressNotice.value = null;
    if (spec) open(spec);
    if (spec || layer) select(layer);
  } catch (error) {
    addressNotice.value = `${asProblem(error).detail} What was shown before is still here.`;
  }
}

function select(layer: string | undefined): void {
  linkedLayer = layer ?? null;
  selectedLayer.value = linkedLayer;
}

/** Says so if the build that a link opened has no layer of the name that the link selects. */
function checkLinkedLayer(): void {
  const build = liveBuild.value;
  if (build === null || linkedLayer === null) return;
  const layer = linkedLayer;
  linkedLayer = null;
  if (selectedLayer.peek() !== layer || build.layers.some(({ name }) => name === layer)) return;
  selectedLayer.value = null;
  addressNotice.value = `The link selects the layer ${layer}, which ${build.architecture} does not have here.`;
}

async function writeAddress(): Promise<void> {
  writes += 1;
  const write = writes;
  const layer = selectedLayer.peek();
  const link = linkOf(specOf(draft.peek()), layer);
  let fragment = await writeLink(link);
  const fits = fragment.length <= MAX_LINK_LENGTH;
  if (!fits && didFit) addressNotice.value = tooLong(fragment.length);
  didFit = fits;
  // Without the spec rather than with one that is not shown.
  if (!fits) fragment = await writeLink(layer === null ? {} : { layer });
  if (write !== writes || fragment === location.hash) return;
  history.replaceState(history.state, "", fragment || location.pathname + location.search);
}

function tooLong(length: number): string {
  const kilobytes = (length / 1000).toFixed(1);
  return `This spec is too long for the address: ${kilobytes} kB, and links hold ${MAX_LINK_LENGTH / 1000}. A reload will not bring it back: store it as a build, or keep its JSON.`;
}
