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

/** Longer fragments are cut by mail and chat programs, and refused by some browsers. */
export const MAX_LINK_LENGTH = 8192;

/** A build's id: a digest of its spec. */
export const BUILD_ID = /^[0-9a-f]{32}$/;

/** The service's own limit of a request; a link may inflate to a thousand times its length. */
const MAX_SPEC_BYTES = 32 * 2 ** 20;

/** Throws Error, with a sentence for the reader, if the fragment holds what cannot be read. */
export async function readLink(fragment: string): Promise<Link> {
  const parts = new URLSearchParams(fragment.replace(/^#/, ""));
  const layer = parts.get("layer");
  const build = parts.get("b");
  const packed = parts.get("s");
  if (build !== null && !BUILD_ID.test(build)) {
    throw new Error(
      `The link's #b= is no build's id, which has 32 hexadecimal digits: "${build}".`,
    );
  }
  return {
    ...(build !== null && { build }),
    ...(packed !== null && { spec: await unpackSpec(packed) }),
    ...(layer && { layer }),
  };
}

/** Returns the fragment that `readLink` reads; empty if there is nothing in it. */
export async function writeLink({ build, spec, layer }: Link): Promise<string> {
  const parts = [
    build && `b=${build}`,
    spec && `s=${await packSpec(spec)}`,
    // A fragment may hold slashes, and names are easier to read with them.
    layer && `layer=${encodeURIComponent(layer).replaceAll("%2F", "/")}`,
  ].filter(Boolean);
  return parts.length > 0 ? `#${parts.join("&")}` : "";
}

export async function packSpec(spec: Spec): Promise<string> {
  const text = new TextEncoder().encode(JSON.stringify(spec));
  const packed = await transformed(text, new CompressionStream("deflate-raw"));
  const binary = Array.from(packed, (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Throws Error, with a sentence for the reader. */
export async function unpackSpec(packed: string): Promise<Spec> {
  let text: string;
  try {
    // URLSearchParams reads as a space the plus that plain base64 has in place of a minus.
    const binary = atob(packed.replace(/=+$/, "").replace(/[- ]/g, "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    text = new TextDecoder("utf-8", { fatal: true }).decode(
      await transformed(bytes, new DecompressionStream("deflate-raw")),
    );
  } catch (error) {
    if (error instanceof RangeError) throw error;
    throw new Error("The link's #s= is damaged: it is not base64url of raw deflate.");
  }
  let spec: unknown;
  try {
    spec = JSON.parse(text);
  } catch (error) {
    throw new Error(`The link's #s= holds no JSON: ${(error as Error).message}.`);
  }
  if (typeof spec !== "object" || spec === null || Array.isArray(spec)) {
    throw new Error("The link's #s= holds no spec: a spec is a JSON object.");
  }
  return spec as Spec;
}

async function transformed(
  bytes: Uint8Array<ArrayBuffer>,
  transform: ReadableWritablePair<Uint8Array<ArrayBuffer>, BufferSource>,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const chunk of new Blob([bytes]).stream().pipeThrough(transform)) {
    size += chunk.length;
    if (size > MAX_SPEC_BYTES) {
      throw new RangeError("The link's #s= holds more than a request to the service may: 32 MB.");
    }
    chunks.push(chunk);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}
