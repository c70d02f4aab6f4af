/** A graph that is moved, opened and walked through: by pointer, by touch and by keys. */

import { type ReadonlySignal, type Signal, useComputed } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { ProblemNote } from "../ui/problem";
import { Chunks } from "./chunks";
import { type Expanded, shownFor } from "./collapse";
import "./graph.css";
import type { Box } from "./layout";
import { Marks } from "./marks";
import { neighbour } from "./neighbours";
import type { Painter } from "./paint";
import { ROOT, type Tree } from "./tree";
import { type LaidOut, useLayout } from "./use_layout";
import { listenTo, type Place, type Viewport } from "./viewport";

/** The layers that are selected and hovered, and what the reader does to them. */
export interface Selection {
  readonly selected: ReadonlySignal<string | null>;
  readonly hovered: ReadonlySignal<string | null>;
  readonly select: (layer: string | null) => void;
  readonly hover: (layer: string | null) => void;
}

export interface GraphViewProps {
  readonly label: string;
  readonly tree: Tree;
  readonly expanded: Expanded;
  readonly toggle: (id: string) => void;
  readonly paint: Painter;
  readonly viewport: Viewport;
  /** The box that the keys are at; "" before any. */
  readonly current: Signal<string>;
  readonly setCurrent: (id: string) => void;
  readonly selection: Selection;
  /** Set to a box to bring it to the middle, once it is laid out. */
  readonly wanted: Signal<string | null>;
  readonly onLaidOut?: (laidOut: LaidOut) => void;
  /** What else lies over the boxes of a layout. */
  readonly over?: (laidOut: LaidOut, boxes: ReadonlyMap<string, Box>) => ComponentChildren;
}

export function GraphView(props: GraphViewProps) {
  const { label, tree, expanded, toggle, paint, viewport, current, wanted, onLaidOut } = props;
  const { selection, setCurrent } = props;
  const { laidOut, isLaying, problem, retry } = useLayout(tree, expanded);
  const svg = useRef<SVGSVGElement>(null);
  const [isReady, setReady] = useState(false);
  useLayoutEffect(() => {
    const element = svg.current;
    if (element === null) return;
    const observer = new ResizeObserver(([entry]) => {
      if (entry === undefined || entry.contentRect.width === 0) return;
      const { width, height } = entry.contentRect;
      viewport.size = { width, height };
      setReady(true);
    });
    observer.observe(element);
    const stop = listenTo(element, viewport);
    return () => {
      observer.disconnect();
      stop();
    };
  }, [viewport]);

  useEffect(() => {
    if (laidOut) onLaidOut?.(laidOut);
  }, [laidOut, onLaidOut]);
  const boxes = useMemo(
    () => new Map(laidOut?.layout.boxes.map((box) => [box.id, box])),
    [laidOut],
  );
  useHold(boxes, laidOut?.tree, viewport, current);
  useLayoutEffect(() => {
    if (laidOut && isReady && viewport.isNew) {
      viewport.fit(laidOut.layout, true);
      viewport.isNew = false;
    }
  }, [laidOut, isReady, viewport]);
  const place = wanted.value === null ? undefined : boxes.get(wanted.value);
  useEffect(() => {
    if (place === undefined || !isReady || laidOut?.expanded !== expanded) return;
    viewport.apart(() => viewport.show(place, true));
    wanted.value = null;
  }, [place, isReady, laidOut, expanded, viewport, wanted]);

  const selected = selection.selected.value;
  const selectedBox = useMemo(() => {
    const node = selected === null ? undefined : tree.nodesOf.get(selected)?.[0];
    return node === undefined ? undefined : shownFor(tree, expanded, node);
  }, [tree, expanded, selected]);
  const at = boxes.has(current.value) ? current.value : (selectedBox ?? firstOf(boxes));

  const choose = (id: string) => {
    setCurrent(id);
    const item = tree.items.get(id);
    if (item === undefined) return;
    if (item.layer === null) toggle(id);
    else selection.select(item.layer);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const item = at === undefined ? undefined : tree.items.get(at);
    const isGroup = (item?.children.length ?? 0) > 0;
    if (event.key === "Enter" && at !== undefined) choose(at);
    else if (event.key === " " && at !== undefined) {
      if (isGroup) toggle(at);
      else choose(at);
    } else if (event.key === "Escape") selection.select(null);
    else if (event.key === "+" || event.key === "=") viewport.zoom(1.25);
    else if (event.key === "-") viewport.zoom(0.8);
    else if (event.key === "0") viewport.fit(laidOut?.layout ?? viewport.size);
    else if (event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End") {
      const next = neighbour(boxes, at, event.key);
      const box = next === undefined ? undefined : boxes.get(next);
      if (next !== undefined && box !== undefined) {
        setCurrent(next);
        viewport.show(headOf(box));
      }
    } else return;
    event.preventDefault();
  };
  const onClick = (event: MouseEvent) => {
    const id = itemOf(event.target);
    if (id === undefined) return;
    const toggles = event.target instanceof Element && event.target.closest("[data-toggles]");
    setCurrent(id);
    if (toggles || tree.items.get(id)?.layer === null) toggle(id);
    else choose(id);
  };
  const onPointerOver = (event: PointerEvent) => {
    const id = itemOf(event.target);
    selection.hover((id === undefined ? undefined : tree.items.get(id)?.layer) ?? null);
  };
  const transform = useComputed(() => {
    const { x, y, scale } = viewport.view.value;
    return `translate(${x} ${y}) scale(${scale})`;
  });
  if (problem) return <ProblemNote problem={problem} retry={retry} />;
  return (
    <div class="graph-window" aria-busy={isLaying}>
      <div
        class="graph-tree"
        role="tree"
        aria-label={label}
        aria-activedescendant={at === undefined ? undefined : viewport.idOf(at)}
        tabIndex={0}
        onKeyDown={onKeyDown}
        onClick={onClick}
        onPointerOver={onPointerOver}
        onPointerLeave={() => selection.hover(null)}
      >
        <svg ref={svg} class="graph" role="none">
          <g transform={transform}>
            {laidOut && isReady && (
              <>
                <Chunks
                  laidOut={laidOut}
                  boxes={boxes}
                  paint={paint}
                  viewport={viewport}
                  current={at}
                  selected={selected}
                />
                <Marks
                  laidOut={laidOut}
                  boxes={boxes}
                  current={current.value}
                  selection={selection}
                />
                {props.over?.(laidOut, boxes)}
              </>
            )}
          </g>
        </svg>
      </div>
      {isLaying && (
        <p class="graph-laying" role="status">
          {laidOut ? "Laying out …" : "Laying out the graph …"}
        </p>
      )}
    </div>
  );
}

/** Keeps the box that was clicked, or else one in the middle, where it is when others are laid out. */
function useHold(
  boxes: ReadonlyMap<string, Box>,
  tree: Tree | undefined,
  viewport: Viewport,
  current: Signal<string>,
): void {
  const before = useRef<{ boxes: ReadonlyMap<string, Box>; tree: Tree | undefined }>({
    boxes,
    tree,
  });
  useLayoutEffect(() => {
    const old = before.current.boxes;
    before.current = { boxes, tree };
    if (old === boxes || old.size === 0 || boxes.size === 0) return;
    const held = [current.peek(), ...middleFirst(old, viewport)].find(
      (id) => boxes.has(id) && old.has(id),
    );
    const [from, to] = [old.get(held ?? ""), boxes.get(held ?? "")];
    if (from && to) {
      viewport.apart(() => {
        viewport.hold(headOf(from), headOf(to));
        viewport.show(headOf(to));
      });
    }
  }, [boxes, tree, viewport, current]);
}

function middleFirst(boxes: ReadonlyMap<string, Box>, viewport: Viewport): string[] {
  const part = viewport.around();
  const [x, y] = [part.x + part.width / 2, part.y + part.height / 2];
  const away = (box: Box) => Math.hypot(box.x + box.width / 2 - x, box.y + box.height / 2 - y);
  return [...boxes.values()].sort((a, b) => away(a) - away(b)).map((box) => box.id);
}

/** Returns the place of a box, or the head of a frame, which is what names it. */
export function headOf(box: Box): Place {
  return box.isOpen ? { ...box, height: 38 } : box;
}

function firstOf(boxes: ReadonlyMap<string, Box>): string | undefined {
  return boxes.keys().next().value;
}

function itemOf(target: EventTarget | null): string | undefined {
  const element = target instanceof Element ? target.closest("[data-item]") : null;
  const id = element instanceof SVGElement ? element.dataset.item : undefined;
  return id === ROOT ? undefined : id;
}
