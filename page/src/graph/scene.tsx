/** The picture itself: frames of open groups, lines, and boxes; the same on the page and in a file. */

import { shape, short } from "../ui/format";
import type { Box, Line } from "./layout";
import { memo } from "./memo";
import type { Paint } from "./paint";
import type { Item } from "./tree";

const LETTERS = 23;
const DETAIL_LETTERS = 26;
const LETTER_WIDTH = 7.2;

/** Returns what a box is, in words: for its title, and for those who hear it. */
export function describe(item: Item, paint: Paint): string {
  const isGroup = item.children.length > 0;
  const parts = [
    item.path || item.name,
    item.op,
    isGroup ? `${item.layers.length} ${item.layers.length === 1 ? "layer" : "layers"}` : null,
    shape(item.shape),
    some(item.figures.parameters, "parameters"),
    some(item.figures.multiply_adds, "multiply-adds"),
    paint.words,
  ];
  return parts.filter(Boolean).join(", ");
}

function some(count: number, what: string): string | null {
  return count > 0 ? `${short(count)} ${what}` : null;
}

/** A node, or a closed group. Far away only its colour can be seen, and only that is drawn. */
export const BoxPicture = memo(function BoxPicture({
  box,
  item,
  paint,
  isFar,
}: {
  box: Box;
  item: Item;
  paint: Paint;
  isFar: boolean;
}) {
  const { width, height } = box;
  const isGroup = item.children.length > 0;
  const left = paint.mark ? 12 + 7.5 * paint.mark.length + 6 : 12;
  const right = paint.figure ?? shape(item.shape.slice(1));
  let top = 0;
  return (
    <>
      {isGroup && <rect class="box-behind" x={3} y={3} width={width} height={height} rx={5} />}
      <rect class={`box ${paint.tone}`} width={width} height={height} rx={5} />
      {paint.strip.map(({ tone, share }) => {
        const y = 1 + top * (height - 2);
        top += share;
        return (
          <rect
            key={tone}
            class={`box-strip ${tone}`}
            x={1}
            y={y}
            width={isFar ? width - 2 : 5}
            height={share * (height - 2)}
          />
        );
      })}
      {!isFar && (
        <>
          {paint.mark && (
            <text class={`box-mark ${paint.tone}`} x={11} y={16}>
              {paint.mark}
            </text>
          )}
          <text class={`box-name ${paint.tone}`} x={left} y={16}>
            {cut(item.name, LETTERS - (isGroup ? 2 : 0) - paint.mark.length)}
          </text>
          <text class={`box-detail ${paint.tone}`} x={12} y={31}>
            {isGroup ? amount(item) : cut(item.op ?? "", DETAIL_LETTERS - right.length)}
          </text>
          <text class={`box-detail box-right ${paint.tone}`} x={width - 8} y={31}>
            {right}
          </text>
          {isGroup && <Chevron x={width - 17} isOpen={false} tone={paint.tone} />}
        </>
      )}
    </>
  );
});

/** The frame of an open group; its head is drawn over the lines, and the frame below them. */
export const FramePicture = memo(function FramePicture({ box, item }: { box: Box; item: Item }) {
  return (
    <rect
      class={`frame frame-${item.depth % 2}`}
      x={box.x}
      y={box.y}
      width={box.width}
      height={box.height}
      rx={7}
    />
  );
});

/** The name and the totals of an open group. */
export const HeadPicture = memo(function HeadPicture({
  box,
  item,
  paint,
  isFar,
}: {
  box: Box;
  item: Item;
  paint: Paint;
  isFar: boolean;
}) {
  const room = Math.floor((box.width - 40) / LETTER_WIDTH);
  const mark = paint.mark ? `${paint.mark} ` : "";
  const name = cut(item.name, room);
  const totals = `${mark}${paint.figure ?? amount(item)}`;
  const ground = `frame-${item.depth % 2}`;
  return (
    <>
      <rect class="frame-head" width={box.width} height={24} rx={7} />
      {!isFar && (
        <>
          <text class={`frame-name ${ground}`} x={24} y={16}>
            {name}
          </text>
          {name.length + totals.length + 2 <= room && (
            <text class={`frame-totals ${ground} ${paint.tone}`} x={box.width - 10} y={16}>
              {totals}
            </text>
          )}
          <Chevron x={8} isOpen tone="" />
        </>
      )}
    </>
  );
});

/** Opens or closes its group; the group's item hears the click. */
function Chevron({ x, isOpen, tone }: { x: number; isOpen: boolean; tone: string }) {
  return (
    <g class={`chevron ${tone}`} data-toggles>
      <rect class="chevron-room" x={x - 6} y={0} width={24} height={24} />
      <path d={isOpen ? `M${x} 9l4.5 5l4.5 -5` : `M${x + 2} 7l5 4.5l-5 4.5`} />
    </g>
  );
}

function amount(item: Item): string {
  const { parameters } = item.figures;
  return parameters > 0 ? `${short(parameters)} params` : "no params";
}

function cut(text: string, letters: number): string {
  return text.length <= letters ? text : `${text.slice(0, Math.max(1, letters - 1))}…`;
}

/** Many lines as one path, each with the head of an arrow where it ends at a box. */
export const LinesPicture = memo(function LinesPicture({ lines }: { lines: readonly Line[] }) {
  return <path class="line" d={lines.map(pathOf).join("")} />;
});

export function pathOf(line: Line): string {
  const { points } = line;
  const at = (index: number) => `${round(points[index])} ${round(points[index + 1])}`;
  const last = points.length - 2;
  let path = `M${at(0)}`;
  if (last === 2) {
    const middle = round(((points[1] ?? 0) + (points[3] ?? 0)) / 2);
    path += `C${round(points[0])} ${middle} ${round(points[2])} ${middle} ${at(2)}`;
  } else {
    // Quadratic curves through the middles between the bends.
    for (let index = 2; index < last; index += 2) {
      const isLast = index + 2 === last;
      const x = isLast ? points[last] : ((points[index] ?? 0) + (points[index + 2] ?? 0)) / 2;
      const y = isLast
        ? points[last + 1]
        : ((points[index + 1] ?? 0) + (points[index + 3] ?? 0)) / 2;
      path += `Q${at(index)} ${round(x)} ${round(y)}`;
    }
  }
  const isToBox = !line.from.startsWith(line.to) || line.to === line.from;
  if (!isToBox) return path;
  const [x, y] = [points[last] ?? 0, points[last + 1] ?? 0];
  return `${path}M${round(x - 3)} ${round(y - 5)}L${round(x)} ${round(y)}L${round(x + 3)} ${round(y - 5)}`;
}

function round(value = 0): number {
  return Math.round(value * 10) / 10;
}
