/** The frame of the page: the editor, and the panels that follow from it. */

import { effect } from "@preact/signals";
import { useEffect, useLayoutEffect } from "preact/hooks";
import { TokenButton, TokenDialog } from "./access/dialog";
import { Editor } from "./editor/editor";
import icon from "./icon.svg";
import { Layers } from "./layers/panel";
import { Drawer } from "./provenance/drawer";
import { followMarks } from "./provenance/inspect";
import { canRedo, canUndo, redo, undo } from "./spec/draft";
import { AddressNotice } from "./start/notice";
import { StartButton } from "./start/start";
import { Totals } from "./totals/totals";
import { lazy } from "./ui/lazy";
import { Boundary } from "./ui/problem";
import { type Tab, Tabs } from "./ui/tabs";
import { pane, type TabId, tab } from "./ui/view";

const TABS: readonly Tab<TabId>[] = [
  { id: "layers", title: "Layers", Panel: Layers },
  { id: "graph", title: "Graph", Panel: lazy(() => import("./graph/panel").then((m) => m.Graph)) },
  {
    id: "compare",
    title: "Compare",
    Panel: lazy(() => import("./compare/panel").then((m) => m.Compare)),
  },
  { id: "sweep", title: "Sweep", Panel: lazy(() => import("./sweep/panel").then((m) => m.Sweep)) },
  { id: "probe", title: "Probe", Panel: lazy(() => import("./probe/panel").then((m) => m.Probe)) },
  {
    id: "picture",
    title: "Picture",
    Panel: lazy(() => import("./picture/panel").then((m) => m.Picture)),
  },
  {
    id: "export",
    title: "Export",
    Panel: lazy(() => import("./export/panel").then((m) => m.Export)),
  },
  {
    id: "models",
    title: "Models",
    Panel: lazy(() => import("./models/panel").then((m) => m.Models)),
  },
];

export function Page({ root }: { root: HTMLElement }) {
  // At once: what is to take the focus in the other pane must be shown by then.
  useLayoutEffect(
    () =>
      effect(() => {
        root.dataset.pane = pane.value;
      }),
    [],
  );
  useEffect(followMarks, []);
  useEffect(() => {
    document.addEventListener("keydown", onShortcut);
    return () => document.removeEventListener("keydown", onShortcut);
  }, []);
  return (
    <>
      <header class="bar">
        <h1>
          <img src={icon} alt="" /> Model zoo
        </h1>
        <StartButton />
        <div class="actions">
          <TokenButton />
          <button type="button" disabled={!canUndo.value} onClick={undo} title="Undo (Ctrl+Z)">
            Undo
          </button>
          <button type="button" disabled={!canRedo.value} onClick={redo} title="Redo (Ctrl+Y)">
            Redo
          </button>
          <a class="button" href="docs">
            API
          </a>
        </div>
      </header>
      <TokenDialog />
      <AddressNotice />
      <div class="pane-switch">
        <PaneButton id="editor" title="Edit" />
        <PaneButton id="results" title="Results" />
      </div>
      <main class="panes">
        <section class="editor-pane" aria-label="Spec">
          <Boundary>
            <Editor />
          </Boundary>
        </section>
        <div class="results-pane">
          <Boundary>
            <Totals />
          </Boundary>
          <div class="results-body">
            <Tabs
              label="Results"
              tabs={TABS}
              chosen={tab.value}
              choose={(id) => {
                tab.value = id;
              }}
            />
            <Drawer />
          </div>
        </div>
      </main>
    </>
  );
}

function PaneButton({ id, title }: { id: "editor" | "results"; title: string }) {
  return (
    <button
      type="button"
      aria-pressed={pane.value === id}
      onClick={() => {
        pane.value = id;
      }}
    >
      {title}
    </button>
  );
}

/** Ctrl+Z and Ctrl+Y undo and redo edits of the spec, unless a text field undoes its own. */
function onShortcut(event: KeyboardEvent): void {
  const target = event.target;
  const inText = target instanceof HTMLElement && target.closest("textarea, [contenteditable]");
  if (inText || !(event.ctrlKey || event.metaKey)) return;
  const key = event.key.toLowerCase();
  if (key === "z" && !event.shiftKey) undo();
  else if (key === "y" || (key === "z" && event.shiftKey)) redo();
  else return;
  event.preventDefault();
}
