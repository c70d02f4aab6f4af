/** The sweep as JSON, and the commands that run it elsewhere. */

import { useState } from "preact/hooks";
import { curlCommand, sweepDocument } from "./document";

export function DocumentView() {
  const [said, say] = useState("");
  const document = sweepDocument.value;
  const json = JSON.stringify(document, null, 2);
  const copy = async (text: string, what: string) => {
    try {
      await navigator.clipboard.writeText(text);
      say(`${what} is copied.`);
    } catch {
      say("The browser allows no copying here: select the text instead.");
    }
  };
  return (
    <details class="sweep-document">
      <summary>The sweep as JSON</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: text that scrolls must take the arrow keys */}
      <pre tabIndex={0}>{json}</pre>
      <div class="copy-bar">
        <button type="button" onClick={() => void copy(json, "The JSON")}>
          Copy JSON
        </button>
        <button type="button" onClick={() => void copy(curlCommand(document), "The command")}>
          Copy as curl
        </button>
        <span class="hint">
          Saved as a file, it also runs without a service:{" "}
          <code>model-zoo sweep --document sweep.json</code>
        </span>
        <span aria-live="polite">{said}</span>
      </div>
    </details>
  );
}
