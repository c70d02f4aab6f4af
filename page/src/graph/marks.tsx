/** What lies over the boxes: the selected layer, the hovered one, and those that a level or a warning reaches. */

import { useMemo } from "preact/hooks";
import { hoveredLevel, markedLayers } from "../build/selection";
import { fatesOf, setterClass } from "../provenance/setters";
import { shownFor, visibleItems } from "./collapse";
import type { Selection } from "./graph_view";
import type { Box, Line } from "./layout";
import { pathOf } from "./scene";
import type { LaidOut } from "./use_layout";

type Boxes = ReadonlyMap<string, Box>;

export function Marks({
  laidOut,
  boxes,
  current,
  selection,
}: {
  laidOut: LaidOut;
  boxes: Boxes;
  current: string;
  selection: Selection;
}) {
  const { hovered, selected } = selection;
  return (
    <g class="live-marks">
      <CurrentLines lines={laidOut.layout.lines} current={current} />
      <LayerMark laidOut={laidOut} boxes={boxes} layer={hovered.value} mark="hovered" />
      <LayerMark laidOut={laidOut} boxes={boxes} layer={selected.value} mark="selected" />
    </g>
  );
}

/** What of the live build lies over it: what a warning points at, and what the hovered level reaches. */
export function LiveMarks({ laidOut, boxes }: { laidOut: LaidOut; boxes: Boxes }) {
  return (
    <g class="live-marks">
      {[...markedLayers.value].map((layer) => (
        <LayerMark key={layer} laidOut={laidOut} boxes={boxes} layer={layer} mark="marked" />
      ))}
      <LevelMarks laidOut={laidOut} boxes={boxes} level={hoveredLevel.value} />
    </g>
  );
}

/** The lines into and out of the box that the reader is at. */
function CurrentLines({ lines, current }: { lines: readonly Line[]; current: string }) {
  const mine = useMemo(
    () =>
      lines.filter(
        (line) => line.from === current || line.to === current || line.carries === current,
      ),
    [lines, current],
  );
  if (mine.length === 0) return null;
  return <path class="line line-of-current" d={mine.map(pathOf).join("")} />;
}

function LayerMark({
  laidOut,
  boxes,
  layer,
  mark,
}: {
  laidOut: LaidOut;
  boxes: Boxes;
  layer: string | null;
  mark: "hovered" | "selected" | "marked";
}) {
  const { tree, expanded } = laidOut;
  const nodes = layer === null ? [] : (tree.nodesOf.get(layer) ?? []);
  const shown = new Set(nodes.map((node) => shownFor(tree, expanded, node)));
  return (
    <>
      {[...shown].map((id) => (
        <Outline key={id} box={boxes.get(id)} class={`mark-${mark}`} />
      ))}
    </>
  );
}

/** Where the hovered level won, where it lost, and in a closed group how often. */
function LevelMarks({
  laidOut,
  boxes,
  level,
}: {
  laidOut: LaidOut;
  boxes: Boxes;
  level: number | null;
}) {
  const { tree, expanded } = laidOut;
  const isAsked = level !== null;
  const fates = useMemo(() => {
    const layers = isAsked ? [...tree.layers.values()] : [];
    return fatesOf(layers.map((each) => ({ layer: each.name, arguments: each.arguments })));
  }, [tree, isAsked]);
  const shown = useMemo(() => visibleItems(tree, expanded), [tree, expanded]);
  const fate = level === null ? undefined : fates.get(level);
  if (fate === undefined || level === null) return null;
  return (
    <>
      {shown.map((id) => {
        const layers = tree.items.get(id)?.layers ?? [];
        const won = layers.filter((name) => fate.won.has(name)).length;
        const lost = layers.filter((name) => fate.lost.has(name)).length;
        const box = boxes.get(id);
        if (box === undefined || won + lost === 0) return null;
        const words = [won > 0 ? `✓${won}` : "", lost > 0 ? `✗${lost}` : ""].join(" ").trim();
        return (
          <g key={id} class={setterClass({ by: "level", index: level })}>
            <Outline box={box} class={won > 0 ? "mark-won" : "mark-lost"} />
            <Corner box={box} words={words} />
          </g>
        );
      })}
    </>
  );
}

/** A word at the upper right corner of a box. */
export function Corner({ box, words }: { box: Box; words: string }) {
  const width = words.length * 7.5 + 10;
  return (
    <g class="corner" transform={`translate(${box.x + box.width - width + 8} ${box.y - 10})`}>
      <rect width={width} height={18} rx={9} />
      <text x={width / 2} y={13}>
        {words}
      </text>
    </g>
  );
}

function Outline({ box, class: name }: { box: Box | undefined; class: string }) {
  if (box === undefined) return null;
  const { x, y, width, height } = box;
  return <rect class={name} x={x - 2} y={y - 2} width={width + 4} height={height + 4} rx={7} />;
}
