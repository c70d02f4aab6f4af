/** The channels of an end point as small images, drawn a few at a time. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { NpyArray } from "./npy";
import { type Colours, channelValues, type Layout, paint } from "./pixels";

export function Thumbnails(props: {
  array: NpyArray;
  layout: Layout;
  row: number;
  name: string;
  count: number;
  colours: Colours;
}) {
  const channels = Array.from({ length: props.count }, (_, channel) => channel);
  return (
    <div class={props.layout.kind === "vector" ? "thumbnails is-vector" : "thumbnails"}>
      {channels.map((channel) => (
        <Thumbnail key={channel} {...props} channel={channel} />
      ))}
    </div>
  );
}

function Thumbnail({
  array,
  layout,
  row,
  name,
  channel,
  colours,
}: {
  array: NpyArray;
  layout: Layout;
  row: number;
  name: string;
  channel: number;
  colours: Colours;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [range, setRange] = useState("");
  useEffect(() => {
    const draw = () => {
      const context = canvas.current?.getContext("2d");
      if (!context) return;
      const { pixels, min, max, notFinite } = paint(
        channelValues(array, layout, row, channel),
        colours,
      );
      context.putImageData(new ImageData(pixels, layout.width, layout.height), 0, 0);
      setRange(spellRange(min, max, layout.kind === "vector" ? 0 : notFinite));
    };
    later.push(draw);
    if (later.length === 1) setTimeout(drawSome);
    return () => {
      const index = later.indexOf(draw);
      if (index >= 0) later.splice(index, 1);
    };
  }, [array, row, channel, colours]);
  const label = layout.kind === "vector" ? name : `Channel ${channel} of ${name}`;
  return (
    <figure class="thumbnail" title={range && `${label}: ${range}`}>
      <canvas
        ref={canvas}
        width={layout.width}
        height={layout.height}
        role="img"
        aria-label={range ? `${label}: ${range}` : label}
      />
      <figcaption>
        {layout.kind === "vector" ? range : channel}
        {layout.kind !== "vector" && /^all /.test(range) && ` ${range}`}
      </figcaption>
    </figure>
  );
}

function spellRange(min: number, max: number, notFinite: number): string {
  if (Number.isNaN(min)) return "no finite value";
  const range =
    min === max ? `all ${min.toPrecision(3)}` : `${min.toPrecision(3)} to ${max.toPrecision(3)}`;
  return notFinite > 0 ? `${range}, ${notFinite} not finite` : range;
}

/** Images to draw; a hundred large ones at once would block the input for longer than 50 ms. */
const later: (() => void)[] = [];
const SLICE_MS = 12;

function drawSome(): void {
  const end = performance.now() + SLICE_MS;
  while (later.length > 0 && performance.now() < end) later.shift()?.();
  if (later.length > 0) setTimeout(drawSome);
}
