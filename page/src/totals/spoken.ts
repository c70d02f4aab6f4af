/** Which level a warning of a build is about, and which layers. */

import { levelPlace } from "../build/places";
import type { Call } from "../provenance/setters";

export interface Warning {
  /** Where it points into the build's spec; empty if nowhere. */
  readonly pointer: string;
  readonly sentence: string;
  /** The place of its level in the build. */
  readonly place: number | null;
}

export function parseWarning(text: string): Warning {
  const [, pointer = "", sentence = text] = /^(\/[^\s:]*): (.*)$/s.exec(text) ?? [];
  return { pointer, sentence, place: levelPlace(pointer) };
}

/**
 * Returns the layers that a warning is about.
 *
 * They are those where the value at its pointer was beaten; if it was beaten nowhere, those that the
 * sentence names, or else those where it won.
 */
export function warnedLayers(
  { pointer, sentence }: Warning,
  calls: readonly Call[],
  layers: readonly string[],
): ReadonlySet<string> {
  const isAt = (writtenAt: string | undefined) =>
    pointer !== "" && (writtenAt === pointer || writtenAt?.startsWith(`${pointer},`));
  const layersWhere = (holds: (argument: Call["arguments"][number]) => unknown) =>
    new Set(calls.filter((call) => call.arguments.some(holds)).map((call) => call.layer));
  const lost = layersWhere((argument) => argument.beat?.some((each) => isAt(each.written_at)));
  if (lost.size > 0) return lost;
  const words = new Set(sentence.split(/[\s(),"']+/).map((word) => word.replace(/[.:;]$/, "")));
  const named = layers.filter((layer) => words.has(layer));
  if (named.length > 0 && !/ and \d+ more\b/.test(sentence)) return new Set(named);
  const won = layersWhere((argument) => isAt(argument.written_at));
  return won.size > 0 ? won : new Set(named);
}
