/** Draws what is in view and around it, some of it in each frame, so that the page goes on. */

import { useSignalEffect } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Box, Line } from "./layout";
import { memo } from "./memo";
import type { Paint, Painter } from "./paint";
import { BoxPicture, describe, FramePicture, HeadPicture, LinesPicture } from "./scene";
import type { Item } from "./tree";
import type { LaidOut } from "./use_layout";
import { meets, type Place, type Viewport } from "./viewport";

/** About how many boxes are drawn or left out together, and how many such parts a frame adds. */
const CHUNK = 40;
const PER_FRAME = 2;
const LINES_PER_PATH = 100;
/** Below it text is too small to read. */
const FAR = 0.28;

export function Chunks({
  laidOut,
  boxes,
  paint,
  viewport,
  current,
  selected,
}: {
  laidOut: LaidOut;
  boxes: ReadonlyMap<string, Box>;
  paint: Painter;
  viewport: Viewport;
  current: string | undefined;
  selected: string | null;
}) {
  const { part, isFar } = usePart(viewport);
  const { items } = laidOut.tree;
  const chunks = useMemo(() => chunksOf(laidOut.layout.boxes, items), [laidOut, items]);
  const paths = useMemo(() => pathsOf(laidOut.layout.lines), [laidOut]);
  const painted = useMemo(() => remembered(paint), [paint]);
  const seen = chunks.filter((chunk) => meets(chunk, part) || chunk.ids.has(current ?? ""));
  const look = useMemo(() => ({ painted, isFar }), [painted, isFar]);
  const drawn = useGradually(seen, look);
  return (
    <g class={isFar ? "is-far" : undefined}>
      {drawn.map(({ chunk }) => (
        <Frames key={chunk.key} chunk={chunk} />
      ))}
      <g>
        {paths.map(
          (path) => meets(path, part) && <LinesPicture key={path.key} lines={path.lines} />,
        )}
      </g>
      {drawn.map(({ chunk, look }) => (
        <Boxes
          key={chunk.key}
          chunk={chunk}
          viewport={viewport}
          painted={look.painted}
          isFar={look.isFar}
          selected={chunk.layers.has(selected ?? "") ? selected : null}
        />
      ))}
      {isFar && <FarNames boxes={laidOut.layout.boxes} items={items} viewport={viewport} />}
      <CurrentMark box={boxes.get(current ?? "")} />
    </g>
  );
}

/** Boxes that stand near each other, in order of execution. */
interface Chunk extends Place {
  readonly key: string;
  readonly boxes: readonly { readonly box: Box; readonly item: Item }[];
  readonly ids: ReadonlySet<string>;
  readonly layers: ReadonlySet<string>;
}

/** Cuts the boxes where a scope near the root begins, so that few parts change when one is opened. */
function chunksOf(boxes: readonly Box[], items: ReadonlyMap<string, Item>): Chunk[] {
  const chunks: Chunk[] = [];
  let some: { box: Box; item: Item }[] = [];
  const end = () => {
    if (some.length > 0) chunks.push(chunkOf(some));
    some = [];
  };
  for (const box of boxes) {
    const item = items.get(box.id);
    if (item === undefined) continue;
    if (some.length >= 2 * CHUNK || (some.length >= CHUNK && item.depth <= 3)) end();
    some.push({ box, item });
  }
  end();
  return chunks;
}

function chunkOf(boxes: Chunk["boxes"]): Chunk {
  const places = boxes.map(({ box }) => box);
  return {
    key: boxes[0]?.box.id ?? "",
    boxes,
    ids: new Set(places.map((box) => box.id)),
    layers: new Set(boxes.flatMap(({ item }) => item.layer ?? [])),
    ...around(
      places.flatMap((box) => [box.x, box.x + box.width]),
      places.flatMap((box) => [box.y, box.y + box.height]),
    ),
  };
}

const Frames = memo(function Frames({ chunk }: { chunk: Chunk }) {
  return (
    <>
      {chunk.boxes.map(
        ({ box, item }) => box.isOpen && <FramePicture key={box.id} box={box} item={item} />,
      )}
    </>
  );
});

const Boxes = memo(function Boxes({
  chunk,
  viewport,
  painted,
  isFar,
  selected,
}: {
  chunk: Chunk;
  viewport: Viewport;
  painted: Painter;
  isFar: boolean;
  selected: string | null;
}) {
  return (
    <>
      {chunk.boxes.map(({ box, item }) => (
        <TreeItem
          key={box.id}
          id={viewport.idOf(box.id)}
          box={box}
          item={item}
          paint={painted(item)}
          isFar={isFar}
          isSelected={item.layer !== null && item.layer === selected}
        />
      ))}
    </>
  );
});

/** Far away, the names of the outermost frames that are more than one, as large as they can be read. */
function FarNames({
  boxes,
  items,
  viewport,
}: {
  boxes: readonly Box[];
  items: ReadonlyMap<string, Item>;
  viewport: Viewport;
}) {
  const named = useMemo(() => {
    const frames = boxes.filter((box) => box.isOpen);
    const depthOf = (box: Box) => items.get(box.id)?.depth ?? 0;
    const depth = [1, 2, 3].find((each) => frames.filter((f) => depthOf(f) === each).length > 1);
    return frames.filter((frame) => depthOf(frame) === depth);
  }, [boxes, items]);
  const { scale } = viewport.view.value;
  return (
    <g class="far-names">
      {named.map((box) => (
        <text
          key={box.id}
          transform={`translate(${box.x - 8 / scale} ${box.y + box.height / 2}) scale(${1 / scale})`}
        >
          {items.get(box.id)?.name}
        </text>
      ))}
    </g>
  );
}

/** The title says it in words. Spread, since a linter takes any element of SVG for one with a focus. */
const UNHEARD = { "aria-hidden": true } as const;

const TreeItem = memo(function TreeItem({
  id,
  box,
  item,
  paint,
  isFar,
  isSelected,
}: {
  id: string;
  box: Box;
  item: Item;
  paint: Paint;
  isFar: boolean;
  isSelected: boolean;
}) {
  const Picture = box.isOpen ? HeadPicture : BoxPicture;
  const words = describe(item, paint);
  return (
    <g
      id={id}
      class="item"
      data-item={box.id}
      role="treeitem"
      tabIndex={-1}
      aria-level={item.depth}
      aria-expanded={item.children.length > 0 ? box.isOpen : undefined}
      aria-selected={isSelected}
      transform={`translate(${box.x} ${box.y})`}
    >
      <title>{words}</title>
      <g {...UNHEARD}>
        <Picture box={box} item={item} paint={paint} isFar={isFar} />
      </g>
    </g>
  );
});

function CurrentMark({ box }: { box: Box | undefined }) {
  if (box === undefined) return null;
  return (
    <rect
      class="current-mark"
      x={box.x - 3}
      y={box.y - 3}
      width={box.width + 6}
      height={(box.isOpen ? 24 : box.height) + 6}
      rx={7}
    />
  );
}

/** Returns the part of the picture to draw: it changes when the reader comes near its border. */
function usePart(viewport: Viewport): { part: Place; isFar: boolean } {
  const [state, setState] = useState(() => ({ part: viewport.around(), isFar: false }));
  const now = useRef(state);
  useSignalEffect(() => {
    const isFar = viewport.view.value.scale < FAR;
    const { part } = now.current;
    const isSmall = part.width > 6 * (viewport.size.width / viewport.view.value.scale);
    if (isFar === now.current.isFar && viewport.isWithin(part) && !isSmall) return;
    now.current = { part: viewport.around(), isFar };
    setState(now.current);
  });
  return state;
}

/** How all boxes look now; those that were drawn before change to it in their turn. */
interface Look {
  readonly painted: Painter;
  readonly isFar: boolean;
}

interface Drawn {
  readonly chunk: Chunk;
  readonly look: Look;
}

/** Returns those that were drawn already, and in each frame some more, or some that look anew. */
function useGradually(seen: readonly Chunk[], look: Look): Drawn[] {
  const known = useRef<ReadonlyMap<string, Drawn>>(new Map());
  const [, drawMore] = useState(0);
  let left = PER_FRAME;
  let isPartial = false;
  const drawn = seen.flatMap((chunk) => {
    const before = known.current.get(chunk.key);
    if (before?.chunk === chunk && before.look === look) return before;
    // Boxes of another layout cannot wait, or they would lie beside their lines.
    if (before && before.chunk !== chunk) return { chunk, look };
    if (left > 0) {
      left -= 1;
      return { chunk, look };
    }
    isPartial = true;
    return before ?? [];
  });
  useEffect(() => {
    known.current = new Map(drawn.map((each) => [each.chunk.key, each]));
    if (!isPartial) return;
    const frame = requestAnimationFrame(() => drawMore((count) => count + 1));
    return () => cancelAnimationFrame(frame);
  });
  return drawn;
}

function pathsOf(lines: readonly Line[]) {
  const paths: (Place & { key: number; lines: readonly Line[] })[] = [];
  for (let start = 0; start < lines.length; start += LINES_PER_PATH) {
    const some = lines.slice(start, start + LINES_PER_PATH);
    const place = around(
      some.flatMap((line) => line.points.filter((_, index) => index % 2 === 0)),
      some.flatMap((line) => line.points.filter((_, index) => index % 2 === 1)),
    );
    paths.push({ key: start, lines: some, ...place });
  }
  return paths;
}

function around(xs: readonly number[], ys: readonly number[]): Place {
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) - x + 1, height: Math.max(...ys) - y + 1 };
}

/** Returns a painter that gives the same paint again for the same item, so that it is not redrawn. */
function remembered(paint: Painter): Painter {
  const paints = new Map<Item, ReturnType<Painter>>();
  return (item) => {
    const known = paints.get(item) ?? paint(item);
    paints.set(item, known);
    return known;
  };
}
