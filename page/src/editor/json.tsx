/** The spec as JSON: a second view of the same draft, in both directions. */

import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import { bracketMatching, indentOnInput } from "@codemirror/language";
import { type Diagnostic, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, keymap, lineNumbers } from "@codemirror/view";
import { effect } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { liveProblem } from "../build/live";
import { draft, draftOf, edit, type Spec, specOf } from "../spec/draft";
import { rangeOf, readSpec } from "./json_places";
import { look } from "./json_theme";
import { isEqual } from "./kinds";

const written = (spec: Spec): string => `${JSON.stringify(spec, null, 2)}\n`;

export function Json() {
  const place = useRef<HTMLDivElement>(null);
  const [error, setError] = useState("");
  useEffect(() => {
    if (!place.current) return;
    let shown = specOf(draft.peek());
    const onText = (text: string) => {
      const read = readSpec(text);
      setError("error" in read ? read.error : "");
      if ("spec" in read && !isEqual(read.spec, shown)) {
        shown = read.spec;
        edit((before) => draftOf(read.spec, before), "json");
      }
      mark(view, liveProblem.peek()?.errors ?? []);
    };
    const view = openView(place.current, written(shown), onText);
    const stop = effect(() => {
      const spec = specOf(draft.value);
      const mistakes = liveProblem.value?.errors ?? [];
      // What is typed stays as it is written, unless the draft has changed elsewhere: by an undo.
      if (!isEqual(spec, shown)) {
        shown = spec;
        view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: written(spec) } });
      }
      mark(view, mistakes);
    });
    return () => {
      stop();
      view.destroy();
    };
  }, []);
  return (
    <>
      <div class="json-view" ref={place} />
      <p class="note" role="status">
        {error || "What you write is applied as soon as it is JSON."}
      </p>
    </>
  );
}

function openView(parent: HTMLElement, doc: string, onText: (text: string) => void): EditorView {
  return new EditorView({
    parent,
    state: EditorState.create({
      doc,
      extensions: [
        lineNumbers(),
        history(),
        drawSelection(),
        indentOnInput(),
        bracketMatching(),
        json(),
        look,
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": "The spec as JSON" }),
        // Tab leaves the field, as it leaves all others.
        keymap.of([...defaultKeymap, ...historyKeymap, ...lintKeymap]),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) onText(update.state.doc.toString());
        }),
      ],
    }),
  });
}

/** Marks what is no JSON; in JSON, the service's mistakes at their pointers. */
function mark(
  view: EditorView,
  mistakes: readonly { readonly pointer: string; readonly message: string }[],
): void {
  const text = view.state.doc.toString();
  const read = readSpec(text);
  const diagnostics: Diagnostic[] =
    "error" in read
      ? [{ ...read.at, severity: "error", message: read.error }]
      : mistakes.map(({ pointer, message }) => ({
          ...rangeOf(text, pointer),
          severity: "error",
          message,
        }));
  view.dispatch(setDiagnostics(view.state, diagnostics));
}
