/** The weights as files, and where they come from. */

import { ServiceLink } from "../access/link";
import { path } from "../api/client";
import { kept } from "../build/kept";
import type { LiveBuild } from "../build/live";
import type { Spec } from "../spec/draft";
import { bytes, exact } from "../ui/format";
import { KeepButton } from "./keep-button";
import { RestorePlan } from "./restore-plan";

const FORMATS: readonly (readonly [format: string, sentence: string])[] = [
  ["safetensors", "Arrays by TF-Slim's names: for safetensors and PyTorch's tools."],
  ["npz", "Arrays by TF-Slim's names: for numpy.load."],
  ["keras", "The network and its weights: for keras.saving.load_model."],
  ["weights.h5", "The weights of that Keras model: for load_weights."],
  ["savedmodel", "The network for serving, in a tar.gz: for TensorFlow Serving."],
  ["checkpoint", "TensorFlow's V2 checkpoint, in a tar.gz: for TF-Slim's scripts."],
  ["onnx", "The network and its weights: for ONNX Runtime and Netron."],
];

export function Weights({ spec, build }: { spec: Spec; build: LiveBuild }) {
  const isKept = kept.value.has(build.id);
  const size = build.totals.weight_bytes;
  return (
    <section aria-labelledby="export-weights">
      <h2 id="export-weights">Weights</h2>
      <p>
        Each file has about <span title={exact(size)}>{bytes(size)}</span>.{" "}
        {!isKept && "The service makes them of stored builds only."}
      </p>
      {!isKept && <KeepButton spec={spec} title="Store the build to download its weights" />}
      <ul class="weight-formats">
        {FORMATS.map(([format, sentence]) => (
          <li key={format}>
            {isKept ? (
              <ServiceLink path={path`v1/builds/${build.id}/weights?format=${format}`} file="">
                {format}
              </ServiceLink>
            ) : (
              <strong>{format}</strong>
            )}
            <span>{sentence}</span>
          </li>
        ))}
      </ul>
      {isKept && <RestorePlan key={build.id} id={build.id} />}
    </section>
  );
}
