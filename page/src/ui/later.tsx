/** What is drawn in a task of its own, after what stands above it, so that no task is long. */

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

/** Keeps a place of `height` pixels until then. */
export function Later({ height, children }: { height: number; children: ComponentChildren }) {
  const [isDue, setDue] = useState(false);
  useEffect(() => {
    // Twice, so that what is above is painted between.
    let timer = setTimeout(() => {
      timer = setTimeout(() => setDue(true));
    });
    return () => clearTimeout(timer);
  }, []);
  return isDue ? children : <div style={{ minHeight: `${height}px` }} />;
}
