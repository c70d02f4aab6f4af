/** Buttons that write a picture of the page as a file. */

import { useState } from "preact/hooks";
import { asProblem, type Problem } from "../api/client";
import { download, pngFile, svgFile } from "./picture_files";
import { ProblemNote } from "./problem";

const PNG_SCALE = 2;

/**
 * `svg` finds the picture when a button is pressed, and `after` ends what it has prepared for that;
 * `name` is that of the file without its ending.
 */
export function PictureButtons({
  svg,
  after,
  name,
  what,
}: {
  svg: () => SVGSVGElement | null | undefined;
  after?: () => void;
  name: string;
  what: string;
}) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const write = async (ending: "svg" | "png") => {
    const picture = svg();
    if (!picture) return;
    try {
      const file = ending === "svg" ? svgFile(picture) : await pngFile(picture, PNG_SCALE);
      download(file, `${name}.${ending}`);
      setProblem(null);
    } catch (error) {
      setProblem(asProblem(error));
    } finally {
      after?.();
    }
  };
  return (
    <div class="picture-buttons">
      <button type="button" onClick={() => write("svg")} aria-label={`${what} as SVG`}>
        SVG
      </button>
      <button type="button" onClick={() => write("png")} aria-label={`${what} as PNG`}>
        PNG
      </button>
      {problem && <ProblemNote problem={problem} />}
    </div>
  );
}
