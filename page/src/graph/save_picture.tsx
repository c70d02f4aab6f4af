/** Makes a file of a whole graph as it is laid out and coloured now. */

import { render } from "preact";
import { download, pngFile, svgFile } from "../ui/picture_files";
import type { Painter } from "./paint";
import { BoxPicture, FramePicture, HeadPicture, LinesPicture } from "./scene";
import type { LaidOut } from "./use_layout";

const PIXELS_PER_UNIT = 2;
const MARGIN = 16;

/** Throws Error, with a sentence for the reader, if the browser cannot draw it. */
export async function savePicture(
  laidOut: LaidOut,
  paint: Painter,
  name: string,
  kind: "svg" | "png",
): Promise<void> {
  const room = document.createElement("div");
  room.className = "graph-window picture-room";
  room.inert = true;
  document.body.append(room);
  try {
    render(<Whole laidOut={laidOut} paint={paint} />, room);
    const svg = room.querySelector("svg");
    if (svg === null) throw new Error("There is no graph to draw.");
    const file = kind === "svg" ? svgFile(svg) : await pngFile(svg, PIXELS_PER_UNIT);
    download(file, `${name}.${kind}`);
  } finally {
    render(null, room);
    room.remove();
  }
}

function Whole({ laidOut, paint }: { laidOut: LaidOut; paint: Painter }) {
  const { layout, tree } = laidOut;
  const drawn = layout.boxes.flatMap((box) => {
    const item = tree.items.get(box.id);
    return item ? [{ box, item }] : [];
  });
  const width = layout.width + 2 * MARGIN;
  const height = layout.height + 2 * MARGIN;
  return (
    <svg
      class="whole-graph"
      role="img"
      aria-label="The graph"
      width={width}
      height={height}
      viewBox={`${-MARGIN} ${-MARGIN} ${width} ${height}`}
    >
      {drawn.map(({ box, item }) => box.isOpen && <FramePicture box={box} item={item} />)}
      <LinesPicture lines={layout.lines} />
      {drawn.map(({ box, item }) => {
        const Picture = box.isOpen ? HeadPicture : BoxPicture;
        return (
          <g transform={`translate(${box.x} ${box.y})`}>
            <title>{item.path}</title>
            <Picture box={box} item={item} paint={paint(item)} isFar={false} />
          </g>
        );
      })}
    </svg>
  );
}
