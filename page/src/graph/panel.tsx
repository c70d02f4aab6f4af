/** The graph of the live build: collapsed by scope, coloured by who set an argument or by a number. */

import { useEffect, useMemo, useRef } from "preact/hooks";
import { isCurrent, liveBuild, report, reportProblem, traceAgain, want } from "../build/live";
import { hoveredLayer, selectedArgument, selectedLayer } from "../build/selection";
import { showArgument, shownArguments } from "../layers/columns";
import { Loading } from "../ui/loading";
import { ProblemNote } from "../ui/problem";
import { type Expanded, revealing, toggled, visibleItems } from "./collapse";
import { FindBox } from "./find_box";
import { GraphView, type Selection } from "./graph_view";
import { ScaleLegend, SetterLegend } from "./legend";
import { LiveMarks } from "./marks";
import {
  argumentNames,
  isOverlay,
  OVERLAYS,
  overlayPainter,
  scaleOf,
  setterPainter,
} from "./paint";
import { savePicture } from "./save_picture";
import * as state from "./state";
import { DepthStepper, PictureButtons, ZoomButtons } from "./toolbar";
import { type GraphDocument, type Item, treeOf } from "./tree";
import type { LaidOut } from "./use_layout";

/** The selection that the table and the plots have too. */
const SHARED: Selection = {
  selected: selectedLayer,
  hovered: hoveredLayer,
  select: (layer) => {
    selectedLayer.value = layer;
  },
  hover: (layer) => {
    hoveredLayer.value = layer;
  },
};

export function Graph() {
  useEffect(() => want("graph"), []);
  const graph = report("graph");
  const problem = reportProblem("graph");
  if (graph) return <GraphOf graph={graph} isOld={!isCurrent("graph")} />;
  if (problem) return <ProblemNote problem={problem} retry={traceAgain} />;
  if (liveBuild.value === null) {
    return <p class="empty">The graph appears once the spec can be built.</p>;
  }
  return <Loading what="the graph" />;
}

function GraphOf({ graph, isOld }: { graph: GraphDocument; isOld: boolean }) {
  const tree = useMemo(() => treeOf(graph), [graph]);
  const expanded = useMemo(() => state.expandedOf(graph, tree), [graph, tree, state.opened.value]);
  const setExpanded = (next: Expanded) => state.setExpanded(graph, next);
  const viewport = state.viewport.value;
  const laidOut = useRef<LaidOut | null>(null);
  const names = useMemo(() => argumentNames(tree), [tree]);
  const coloured = chosenColour(names);
  const shown = useMemo(
    () => visibleItems(tree, expanded).map((id) => tree.items.get(id) as Item),
    [tree, expanded],
  );
  const scale = useMemo(
    () => (isOverlay(coloured) ? scaleOf(shown, coloured) : null),
    [shown, coloured],
  );
  const paint = useMemo(
    () => (isOverlay(coloured) ? overlayPainter(scale, coloured) : setterPainter(tree, coloured)),
    [tree, coloured, scale],
  );
  const find = (id: string) => {
    setExpanded(revealing(tree, expanded, id));
    state.current.value = id;
    state.wanted.value = id;
    const layer = tree.items.get(id)?.layer;
    if (layer) selectedLayer.value = layer;
  };
  // Once: what is selected later is selected here, or is in view.
  useEffect(() => {
    const node = tree.nodesOf.get(selectedLayer.peek() ?? "")?.[0];
    if (node !== undefined) find(node);
  }, []);
  return (
    <div class={`graph-panel${isOld ? " is-old" : ""}`}>
      <div class="graph-tools">
        <label>
          Colour by{" "}
          <select
            value={coloured}
            onChange={(event) => {
              const name = event.currentTarget.value;
              state.colour.value = name;
              // What is looked at in the graph is a column of the table too.
              if (!isOverlay(name) && !shownArguments.peek().includes(name)) {
                showArgument(name, true);
              }
            }}
          >
            <ColourOptions names={names} />
          </select>
        </label>
        <DepthStepper tree={tree} expanded={expanded} setExpanded={setExpanded} />
        <FindBox tree={tree} find={find} />
        <PictureButtons
          save={async (kind) => {
            if (laidOut.current)
              await savePicture(laidOut.current, paint, graph.architecture, kind);
          }}
        />
      </div>
      {isOverlay(coloured) ? (
        <ScaleLegend scale={scale} overlay={coloured} />
      ) : (
        <SetterLegend tree={tree} argument={coloured} />
      )}
      <GraphView
        label={`Graph of ${graph.architecture}`}
        tree={tree}
        expanded={expanded}
        toggle={(id) => setExpanded(toggled(expanded, id))}
        paint={paint}
        viewport={viewport}
        current={state.current}
        setCurrent={(id) => {
          state.current.value = id;
        }}
        selection={SHARED}
        over={(each, boxes) => <LiveMarks laidOut={each} boxes={boxes} />}
        wanted={state.wanted}
        onLaidOut={(each) => {
          laidOut.current = each;
        }}
      />
      <ZoomButtons
        viewport={viewport}
        picture={() => laidOut.current?.layout ?? { width: 1, height: 1 }}
      />
    </div>
  );
}

function ColourOptions({ names }: { names: ReturnType<typeof argumentNames> }) {
  const option = (name: string) => (
    <option key={name} value={name}>
      {name}
    </option>
  );
  return (
    <>
      {names.byLevels.length > 0 && (
        <optgroup label="Who set it: arguments of your levels">
          {names.byLevels.map(option)}
        </optgroup>
      )}
      <optgroup label="A number">
        {Object.entries(OVERLAYS).map(([name, { title }]) => (
          <option key={name} value={name}>
            {title}
          </option>
        ))}
      </optgroup>
      {names.others.length > 0 && (
        <optgroup label="Who set it: other arguments">{names.others.map(option)}</optgroup>
      )}
    </>
  );
}

/** Returns what was chosen, as far as this build has it; else the argument that is asked about. */
function chosenColour(names: ReturnType<typeof argumentNames>): string {
  const all = [...names.byLevels, ...names.others];
  const asked = [state.colour.value, selectedArgument.value?.argument];
  const known = asked.find((name) => name && (isOverlay(name) || all.includes(name)));
  const column = shownArguments.value.find((name) => names.byLevels.includes(name));
  return known ?? column ?? names.byLevels[0] ?? "parameters";
}
