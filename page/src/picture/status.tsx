/** What a run is doing, or why it failed. */

import { useEffect, useState } from "preact/hooks";
import { ProblemNote } from "../ui/problem";
import { news, spell } from "./progress";
import { cancel, failure, isCurrent, type Progress, progress, result, run } from "./run";

export function Status() {
  if (progress.value) return <Running progress={progress.value} />;
  if (failure.value) return <ProblemNote problem={failure.value} retry={() => void run()} />;
  if (result.value === null) {
    return <p class="empty">The most probable classes and the end points will be shown here.</p>;
  }
  if (isCurrent.value) return null;
  return (
    <p class="picture-status" role="status">
      <span>What is shown is of an earlier build or input.</span>
      <button type="button" onClick={() => void run()}>
        Run again
      </button>
    </p>
  );
}

function Running({ progress }: { progress: Progress }) {
  const words = progress.step === "storing" ? "Storing the build" : spell(news.value);
  return (
    <div class="picture-status">
      <span class="picture-spinner" aria-hidden="true" />
      <span role="status">{words} …</span>
      <Elapsed since={progress.since} />
      <button type="button" onClick={cancel}>
        Cancel
      </button>
    </div>
  );
}

function Elapsed({ since }: { since: number }) {
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 100);
    return () => clearInterval(timer);
  }, []);
  return <span class="picture-elapsed">{(Math.max(0, now - since) / 1000).toFixed(1)} s</span>;
}
