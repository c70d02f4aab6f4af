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

/** How many boxes a frame adds at most: a frame of them takes about 10 ms. */
const PER_FRAME = 80;
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
  const seen = useMemo(
    () => laidOut.layout.boxes.filter((box) => meets(box, part) || box.id === current),
    [laidOut, part, current],
  );
  const drawn = useGradually(seen);
  const paths = useMemo(() => pathsOf(laidOut.layout.lines), [laidOut]);
  const painted = useMemo(() => remembered(paint), [paint]);
  return (
    <>
      {drawn.map((box) => {
        const item = box.isOpen ? items.get(box.id) : undefined;
        return item && <FramePicture key={box.id} box={box} item={item} />;
      })}
      <g>
        {paths.map(
          (path) => meets(path, part) && <LinesPicture key={path.key} lines={path.lines} />,
        )}
      </g>
      {drawn.map((box) => {
        const item = items.get(box.id);
        if (item === undefined) return null;
        return (
          <TreeItem
            key={box.id}
            id={viewport.idOf(box.id)}
            box={box}
            item={item}
            paint={painted(item)}
            isFar={isFar}
            isSelected={item.layer !== null && item.layer === selected}
          />
        );
      })}
      <CurrentMark box={boxes.get(current ?? "")} />
    </>
  );
}

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
      aria-label={words}
      aria-level={item.depth}
      aria-expanded={item.children.length > 0 ? box.isOpen : undefined}
      aria-selected={isSelected}
      transform={`translate(${box.x} ${box.y})`}
    >
      <title>{words}</title>
      <Picture box={box} item={item} paint={paint} isFar={isFar} />
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

/** Returns those that were drawn already, and some more in each frame. */
function useGradually(seen: readonly Box[]): Box[] {
  const known = useRef<ReadonlySet<string>>(new Set());
  const [, drawMore] = useState(0);
  let fresh = 0;
  const drawn = seen.filter((box) => {
    if (known.current.has(box.id)) return true;
    fresh += 1;
    return fresh <= PER_FRAME;
  });
  const isPartial = drawn.length < seen.length;
  useEffect(() => {
    known.current = new Set(drawn.map((box) => box.id));
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
    const xs = some.flatMap((line) => line.points.filter((_, index) => index % 2 === 0));
    const ys = some.flatMap((line) => line.points.filter((_, index) => index % 2 === 1));
    const [x, y] = [Math.min(...xs), Math.min(...ys)];
    const [width, height] = [Math.max(...xs) - x, Math.max(...ys) - y];
    paths.push({ key: start, lines: some, x, y, width: width + 1, height: height + 1 });
  }
  return paths;
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
