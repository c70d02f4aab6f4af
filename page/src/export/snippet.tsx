/** A text to take away: shown as it is, copied, or saved as a file. */

import { useRef, useState } from "preact/hooks";
import { copyText } from "./clipboard";

export function Snippet({ title, text, file }: { title: string; text: string; file?: string }) {
  const shown = useRef<HTMLPreElement>(null);
  const [said, say] = useState("");
  const copy = async () => {
    const copied = await copyText(text, shown.current);
    say(copied ? "Copied" : "Selected: press Ctrl+C");
    setTimeout(() => say(""), 4000);
  };
  return (
    <div class="snippet">
      <div class="snippet-actions">
        <button type="button" onClick={() => void copy()}>
          Copy<span class="visually-hidden"> {title}</span>
        </button>
        {file && (
          <button type="button" onClick={() => save(text, file)}>
            Download {file}
          </button>
        )}
        <span role="status">{said}</span>
      </div>
      <section
        class="snippet-text"
        aria-label={title}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must take the arrow keys
        tabIndex={0}
      >
        <pre ref={shown}>{text}</pre>
      </section>
    </div>
  );
}

function save(text: string, file: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
