/** The page's address: what it holds is opened, and what is selected is written there. */

import { get } from "../api/client";
import { selectedLayer } from "../build/selection";
import { draft, draftOf } from "../spec/draft";
import { readLink } from "../spec/link";
import { PRESETS } from "./presets";

/** Opens the spec that the address holds; without one, the first preset. */
export async function startAddress(): Promise<void> {
  const link = await readLink(location.hash);
  selectedLayer.value = link.layer ?? null;
  if (link.spec) draft.value = draftOf(link.spec);
  else if (link.build) draft.value = draftOf((await get<"Build">(`v1/builds/${link.build}`)).spec);
  else draft.value = draftOf(PRESETS[0].spec);
}
