/** A small network for tests: a stem, a block of two branches that is read by the next layer too, and a head. */

import type { GraphDocument } from "./tree";

/** Nodes as "id op layer scope", and who reads whom. */
const NODES = [
  "input input input ",
  "Net/stem/Conv2D conv2d Net/stem Net/stem",
  "Net/stem/BatchNorm/Norm batch_norm Net/stem/BatchNorm Net/stem/BatchNorm",
  "Net/stem/relu activation Net/stem Net/stem",
  "Net/block/left/Conv2D conv2d Net/block/left Net/block/left",
  "Net/block/right/Conv2D conv2d Net/block/right Net/block/right",
  "Net/block/concat concat Net/block/concat Net/block",
  "Net/add add Net/add Net",
  "Predictions/Softmax softmax Predictions Predictions",
];
const EDGES = [
  "input Net/stem/Conv2D",
  "Net/stem/Conv2D Net/stem/BatchNorm/Norm",
  "Net/stem/BatchNorm/Norm Net/stem/relu",
  "Net/stem/relu Net/block/left/Conv2D",
  "Net/stem/relu Net/block/right/Conv2D",
  "Net/block/left/Conv2D Net/block/concat",
  "Net/block/right/Conv2D Net/block/concat",
  "Net/block/concat Net/add",
  "Net/stem/relu Net/add",
  "Net/add Predictions/Softmax",
];

/** Returns the network; `rename` may change each path, and leaves a node out if it returns null. */
export function smallGraph(
  rename: (path: string) => string | null = (path) => path,
): GraphDocument {
  const nodes = NODES.flatMap((line) => {
    const [id, op, layer, scope] = line.split(" ").map((part) => part && rename(part));
    return id && op && layer ? [{ id, op, layer, scope: scope ?? "" }] : [];
  });
  const known = new Set(nodes.map((node) => node.id));
  const edges = EDGES.map((line) => line.split(" ").map(rename) as [string, string]).filter(
    (ends) => ends.every((end) => known.has(end)),
  );
  const figures = {
    output_shape: [null, 8, 8, 4],
    parameters: 10,
    multiply_adds: 1000,
    activation_bytes: 1024,
  };
  return {
    build: "0".repeat(32),
    architecture: "net",
    depth: null,
    input: "input",
    output: "Predictions/Softmax",
    nodes: nodes.map((node) => ({
      ...figures,
      ...node,
      collapsed: false,
      primitives: 1,
      dtype: "float32",
      attributes: {},
      variables: [],
      end_points: [],
    })),
    edges: edges.map(([source, target]) => ({ source, target, input: 0 })),
    layers: [...new Map(nodes.map((node) => [node.layer, node])).values()].map((node) => ({
      ...figures,
      name: node.layer,
      op: node.op,
      weight_bytes: 40,
      peak_activation_bytes: 2048,
      receptive_field: [3, 3],
      effective_stride: [1, 1],
      scope: node.scope,
      nodes: nodes.filter((each) => each.layer === node.layer).map((each) => each.id),
      called_at: null,
      arguments: [],
    })),
    scopes: [],
    end_points: {},
  };
}
