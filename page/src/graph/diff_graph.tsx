/** The graphs of two builds side by side, moved, opened and walked through together. */

import { signal } from "@preact/signals";
import { useEffect, useMemo, useState } from "preact/hooks";
import { asProblem, isAbort, type Problem, post, type Schemas } from "../api/client";
import type { Spec } from "../spec/draft";
import { Loading } from "../ui/loading";
import { ProblemNote } from "../ui/problem";
import { depthAtFirst, type Expanded, expandedTo, revealing } from "./collapse";
import { matchOf, other, type Side } from "./diff_match";
import { diffPainter } from "./diff_paint";
import { FindBox } from "./find_box";
import { GraphView, headOf, type Selection } from "./graph_view";
import { savePicture } from "./save_picture";
import { linked } from "./side_by_side";
import { DepthStepper, PictureButtons, ZoomButtons } from "./toolbar";
import { type GraphDocument, type Tree, treeOf } from "./tree";
import type { LaidOut } from "./use_layout";

type Sides<Value> = Readonly<Record<Side, Value>>;
const SIDES: readonly Side[] = ["a", "b"];

/** Fetches the graph of each spec, and shows what the diff of the two says of them. */
export function DiffGraph({ a, b, diff }: { a: Spec; b: Spec; diff: Schemas["Diff"] }) {
  const [graphs, setGraphs] = useState<Sides<GraphDocument> | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [attempt, setAttempt] = useState(0);
  // The specs are new objects at each render of the panel; the text says whether they differ.
  const asked = JSON.stringify([a, b, attempt]);
  useEffect(() => {
    const controller = new AbortController();
    const [specA, specB] = JSON.parse(asked) as [Spec, Spec];
    setGraphs(null);
    setProblem(null);
    Promise.all([specA, specB].map((spec) => graphOf(spec, controller.signal))).then(
      ([a, b]) => {
        if (a && b) setGraphs({ a, b });
      },
      (error: unknown) => {
        if (!isAbort(error)) setProblem(asProblem(error));
      },
    );
    return () => controller.abort();
  }, [asked]);
  if (problem) return <ProblemNote problem={problem} retry={() => setAttempt(attempt + 1)} />;
  if (graphs === null) return <Loading what="both graphs" />;
  return <BothGraphs graphs={graphs} diff={diff} />;
}

async function graphOf(spec: Spec, signal: AbortSignal): Promise<GraphDocument> {
  const build = await post<"TracedBuild">("v1/builds?keep=false&include=graph", spec, signal);
  if (!build.graph) throw new Error("The service answered without the graph.");
  return build.graph;
}

function BothGraphs({ graphs, diff }: { graphs: Sides<GraphDocument>; diff: Schemas["Diff"] }) {
  const trees = useMemo(() => ({ a: treeOf(graphs.a), b: treeOf(graphs.b) }), [graphs]);
  const match = useMemo(() => matchOf(trees, diff.layers), [trees, diff]);
  const paints = useMemo(
    () => ({ a: diffPainter(trees, match, "a"), b: diffPainter(trees, match, "b") }),
    [trees, match],
  );
  const [expanded, setExpanded] = useState<Sides<Expanded>>(() => {
    const depth = Math.max(depthAtFirst(trees.a), depthAtFirst(trees.b));
    return { a: expandedTo(trees.a, depth), b: expandedTo(trees.b, depth) };
  });
  const both = useBoth();
  useEffect(() => both.views.start(), [both]);

  /** Opens or closes a group, and the one that it matches. */
  const toggle = (side: Side, id: string) => {
    const isOpening = !expanded[side].has(id);
    const same = match.items[side].get(id);
    const set = (all: Expanded, group: string | undefined) => {
      const next = new Set(all);
      if (group === undefined) return all;
      if (isOpening) next.add(group);
      else next.delete(group);
      return next;
    };
    setExpanded({
      ...expanded,
      [side]: set(expanded[side], id),
      [other(side)]: set(expanded[other(side)], same),
    });
  };
  const setCurrent = (side: Side, id: string) => {
    both.current[side].value = id;
    const same = match.items[side].get(id) ?? "";
    both.current[other(side)].value = same;
    both.views.align(side, both.boxOf(side, id), both.boxOf(other(side), same));
  };
  const selection = (side: Side): Selection => ({
    selected: both.selected[side],
    hovered: both.hovered[side],
    select: (layer) => setPair(both.selected, side, layer),
    hover: (layer) => setPair(both.hovered, side, layer),
  });
  const setPair = (pair: (typeof both)["selected"], side: Side, layer: string | null) => {
    const diff = layer === null ? undefined : match.layers[side].get(layer);
    pair[side].value = layer;
    pair[other(side)].value = diff?.[other(side)]?.name ?? null;
  };
  const find = (side: Side, id: string) => {
    const same = match.items[side].get(id);
    const there = other(side);
    setExpanded({
      ...expanded,
      [side]: revealing(trees[side], expanded[side], id),
      [there]: same ? revealing(trees[there], expanded[there], same) : expanded[there],
    });
    both.current[side].value = id;
    both.wanted[side].value = id;
    both.current[there].value = same ?? "";
    both.wanted[there].value = same ?? null;
    setPair(both.selected, side, trees[side].items.get(id)?.layer ?? null);
  };
  return (
    <section class="graph-panel diff-graph" aria-label="Graphs of both builds">
      <div class="graph-tools">
        <DepthStepper
          tree={deeperOf(trees)}
          expanded={trees.a === deeperOf(trees) ? expanded.a : expanded.b}
          setExpanded={(_, depth) =>
            setExpanded({ a: expandedTo(trees.a, depth), b: expandedTo(trees.b, depth) })
          }
        />
      </div>
      <ul class="graph-legend" aria-label="Signs">
        <li class="tone-sign tone-added">+ in B alone</li>
        <li class="tone-sign tone-removed">− in A alone</li>
        <li class="tone-sign tone-changed">~ changed or renamed</li>
      </ul>
      <div class="graph-sides">
        {SIDES.map((side) => (
          <div class="graph-side" key={side}>
            <div class="graph-head">
              <span class="graph-letter">{side.toUpperCase()}</span> {graphs[side].architecture}
              <FindBox tree={trees[side]} find={(id) => find(side, id)} />
              <span class="graph-files">
                <PictureButtons
                  save={async (kind) => {
                    const laidOut = both.laidOut[side];
                    if (laidOut) await savePicture(laidOut, paints[side], `diff-${side}`, kind);
                  }}
                />
              </span>
            </div>
            <GraphView
              label={`Graph of ${side.toUpperCase()}, ${graphs[side].architecture}`}
              tree={trees[side]}
              expanded={expanded[side]}
              toggle={(id) => toggle(side, id)}
              paint={paints[side]}
              viewport={both.views[side]}
              current={both.current[side]}
              setCurrent={(id) => setCurrent(side, id)}
              selection={selection(side)}
              wanted={both.wanted[side]}
              onLaidOut={(laidOut) => {
                both.laidOut[side] = laidOut;
              }}
            />
          </div>
        ))}
      </div>
      <ZoomButtons
        viewport={both.views.a}
        picture={() => ({
          width: Math.max(both.laidOut.a?.layout.width ?? 1, both.laidOut.b?.layout.width ?? 1),
          height: Math.max(both.laidOut.a?.layout.height ?? 1, both.laidOut.b?.layout.height ?? 1),
        })}
      />
    </section>
  );
}

/** What both sides have and no drawing depends on. */
function useBoth() {
  const [both] = useState(() => {
    const laidOut: Record<Side, LaidOut | null> = { a: null, b: null };
    return {
      views: linked(),
      current: { a: signal(""), b: signal("") },
      selected: { a: signal<string | null>(null), b: signal<string | null>(null) },
      hovered: { a: signal<string | null>(null), b: signal<string | null>(null) },
      wanted: { a: signal<string | null>(null), b: signal<string | null>(null) },
      laidOut,
      boxOf: (side: Side, id: string) => {
        const box = laidOut[side]?.layout.boxes.find((each) => each.id === id);
        return box && headOf(box);
      },
    };
  });
  return both;
}

function deeperOf(trees: Sides<Tree>): Tree {
  return trees.a.items.size >= trees.b.items.size ? trees.a : trees.b;
}
