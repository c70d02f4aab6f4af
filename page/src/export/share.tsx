/** Links to the build: one that holds the whole spec, and a short one to a stored build. */

import { useEffect, useState } from "preact/hooks";
import { kept } from "../build/kept";
import type { LiveBuild } from "../build/live";
import type { Spec } from "../spec/draft";
import { packSpec } from "../spec/link";
import { bytes } from "../ui/format";
import { KeepButton } from "./keep-button";
import { Snippet } from "./snippet";
import { pageUrl } from "./texts";

/** Some mail programs and chats cut longer links. */
const LONG_LINK = 8000;

export function Share({ spec, build }: { spec: Spec; build: LiveBuild }) {
  const [packed, setPacked] = useState<string | null>(null);
  useEffect(() => {
    let current = true;
    void packSpec(spec).then((text) => current && setPacked(text));
    return () => {
      current = false;
    };
  }, [spec]);
  const link = packed === null ? "" : pageUrl(`s=${packed}`);
  const isLong = link.length > LONG_LINK;
  return (
    <section aria-labelledby="export-link">
      <h2 id="export-link">Link</h2>
      <p>The whole spec is in the link, compressed. It reaches no server and stores nothing.</p>
      <Snippet title="the link" text={link} />
      {isLong && (
        <p class="export-note">
          This link has {bytes(link.length)}; some programs cut links above 8 kB. The short one is
          safer.
        </p>
      )}
      {kept.value.has(build.id) ? (
        <>
          <p>The build is stored. Whoever can reach this service can open it:</p>
          <Snippet title="the short link" text={pageUrl(`b=${build.id}`)} />
        </>
      ) : (
        <p>
          <KeepButton spec={spec} title="Store the build for a short link" /> A short link works as
          long as this service keeps the build.
        </p>
      )}
    </section>
  );
}
