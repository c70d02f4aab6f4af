/** The layout of what is open, made in a worker; a newer one ends the one before. */

import { useEffect, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api/client";
import type { Expanded } from "./collapse";
import type { Layout, Size } from "./layout";
import type { LayoutAnswer, LayoutRequest } from "./layout_worker";
import { skeletonOf, type Tree } from "./tree";

export const BOX: Size = { width: 196, height: 38 };

/** A layout with the tree and the groups that it is of, which may be older than those now open. */
export interface LaidOut {
  readonly layout: Layout;
  readonly tree: Tree;
  readonly expanded: Expanded;
}

export function useLayout(tree: Tree, expanded: Expanded) {
  const [laidOut, setLaidOut] = useState<LaidOut | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [client] = useState(() => new LayoutClient());
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    setProblem(null);
    client.ask(
      tree,
      expanded,
      (layout) => setLaidOut({ layout, tree, expanded }),
      (error) => setProblem(asProblem(error)),
    );
  }, [client, tree, expanded, attempt]);
  useEffect(() => () => client.end(), [client]);
  const isLaying = laidOut?.tree !== tree || laidOut.expanded !== expanded;
  return { laidOut, isLaying, problem, retry: () => setAttempt(attempt + 1) };
}

/** A worker that is kept while it is idle, since it remembers, and ended when it is too late. */
class LayoutClient {
  private worker: Worker | null = null;
  private isBusy = false;
  private sent: Tree | null = null;

  ask(
    tree: Tree,
    expanded: Expanded,
    done: (layout: Layout) => void,
    fail: (error: Error) => void,
  ): void {
    if (this.isBusy) this.end();
    this.worker ??= new Worker(new URL("./layout_worker.ts", import.meta.url), { type: "module" });
    this.isBusy = true;
    this.worker.onmessage = ({ data }: MessageEvent<LayoutAnswer>) => {
      this.isBusy = false;
      if ("layout" in data) done(data.layout);
      else fail(new Error(`The graph could not be laid out: ${data.error}`));
    };
    this.worker.onerror = () => {
      this.end();
      fail(new Error("The program that lays out the graph could not be loaded, or it ended."));
    };
    const request: LayoutRequest = {
      ...(this.sent !== tree && { tree: skeletonOf(tree) }),
      expanded,
      size: BOX,
    };
    this.sent = tree;
    this.worker.postMessage(request);
  }

  end(): void {
    this.worker?.terminate();
    this.worker = null;
    this.sent = null;
    this.isBusy = false;
  }
}
