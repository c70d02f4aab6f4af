/**
 * Links: the fragment of the page's address holds a build or a whole spec, and what is selected.
 *
 * `#b=ID` is a stored build. `#s=TEXT` is a spec: its JSON, compressed as raw deflate (RFC 1951),
 * in base64url without padding (RFC 4648, section 5). `&layer=NAME` is the selected layer. The
 * fragment never reaches a server. Python writes the same with zlib and base64: see docs/page.md.
 */

import type { Spec } from "./draft";

export interface Link {
  readonly build?: string;
  readonly spec?: Spec;
  readonly layer?: string;
}

/** Throws Error, with a sentence for the reader, if the fragment holds a spec that cannot be read. */
export async function readLink(fragment: string): Promise<Link> {
  const parts = new URLSearchParams(fragment.replace(/^#/, ""));
  const layer = parts.get("layer");
  const build = parts.get("b");
  const packed = parts.get("s");
  return {
    ...(build !== null && { build }),
    ...(packed !== null && { spec: await unpackSpec(packed) }),
    ...(layer !== null && { layer }),
  };
}

export async function packSpec(spec: Spec): Promise<string> {
  const text = new TextEncoder().encode(JSON.stringify(spec));
  const packed = await transformed(text, new CompressionStream("deflate-raw"));
  const binary = Array.from(packed, (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export async function unpackSpec(packed: string): Promise<Spec> {
  let text: string;
  try {
    const binary = atob(packed.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    text = new TextDecoder().decode(
      await transformed(bytes, new DecompressionStream("deflate-raw")),
    );
  } catch {
    throw new Error("The link's #s= is damaged: it is not base64url of raw deflate.");
  }
  const spec: unknown = JSON.parse(text);
  if (typeof spec !== "object" || spec === null || Array.isArray(spec)) {
    throw new Error("The link's #s= holds no spec: a spec is a JSON object.");
  }
  return spec as Spec;
}

async function transformed(
  bytes: Uint8Array<ArrayBuffer>,
  transform: ReadableWritablePair<Uint8Array<ArrayBuffer>, BufferSource>,
): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(transform);
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
