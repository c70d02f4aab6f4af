"""An ONNX model of a graph and its weights."""

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from model_zoo.errors import Problem, WeightsError, not_accepted
from model_zoo.graph import Graph, Node, Tensor
from model_zoo.onnx_lowering.layout import Layout, example_shape, order
from model_zoo.onnx_lowering.rules import INPUT, OUTPUT, Lowering
from model_zoo.onnx_options import DEFAULT_OPSET, IR_VERSIONS, ONNX_LAYOUTS, OnnxLayout

_LAYOUTS: Mapping[OnnxLayout, Layout] = {"nhwc": "channels_last", "nchw": "channels_first"}
PRODUCER = "model-zoo-service"


def onnx_model(
    graph: Graph,
    weights: Mapping[str, NDArray[Any]],
    *,
    outputs: Mapping[str, Tensor] | None = None,
    opset: int = DEFAULT_OPSET,
    layout: OnnxLayout = "nhwc",
    metadata: Mapping[str, str] = {},
    beside: MutableMapping[str, NDArray[Any]] | None = None,
) -> onnx.ModelProto:
    """Return a model from `input` to the named outputs; nodes that do not lead there are left out.

    Without `outputs` there is one, `output`: the graph's.

    `weights` are by TF-Slim's names, and so are the model's initializers, in ONNX's layout. Equal
    arguments give equal bytes by `SerializeToString(deterministic=True)`.

    With `beside`, the values of large initializers are put there by name, in ONNX's layout, and not
    into the model, which declares them as external data in a file that does not exist.

    `opset` is one of `OPSETS`. The layout is that of the input and the outputs of rank above 2.

    Shape: (N, H, W, C), or (N, C, H, W) in the layout nchw -> those of the outputs; N is free
    Raises: BuildError for a primitive that has no rule, WeightsError if a weight is missing or has
    another shape, or a dropout is active, OptionError for another opset or layout.
    """
    if opset not in IR_VERSIONS:
        raise not_accepted("opset", str(opset), map(str, IR_VERSIONS))
    if layout not in _LAYOUTS:
        raise not_accepted("layout", str(layout), ONNX_LAYOUTS)
    edges = _LAYOUTS[layout]
    ends = {OUTPUT: graph.output} if outputs is None else outputs
    nodes = graph.nodes_before(ends.values())
    arrays = _needed(nodes, weights)
    model = onnx.ModelProto()
    model.ir_version = IR_VERSIONS[opset]
    model.producer_name = PRODUCER
    model.opset_import.add(domain="", version=opset)
    for key in sorted(metadata):
        model.metadata_props.add(key=key, value=metadata[key])
    model.graph.name = "model"
    model.graph.input.append(_described(INPUT, graph.input, edges))
    model.graph.output.extend(_described(name, tensor, edges) for name, tensor in ends.items())
    lowering = Lowering(model.graph, nodes, arrays, ends, opset, beside)
    lowering.bind(graph.input, INPUT, edges)
    for node in nodes:
        if node.op == "input":
            continue
        try:
            lowering.lower(node)
        except Exception as error:
            error.add_note(f"while lowering {node.output.name} ({node.op}) to ONNX")
            raise
    for name, tensor in ends.items():
        lowering.write_output(name, tensor, edges)
    return model


def _needed(
    nodes: Sequence[Node], weights: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.float32]]:
    """Return the weights of the nodes, as float32.

    Raises: WeightsError with every weight that is missing or has another shape.
    """
    variables = {v.name: v for node in nodes for v in node.variables.values()}
    arrays: dict[str, NDArray[np.float32]] = {}
    problems: list[Problem] = []
    for name, variable in variables.items():
        if name not in weights:
            problems.append(
                Problem(f"The weights lack {name}; a value of shape {variable.shape} is needed.")
            )
            continue
        arrays[name] = np.asarray(weights[name], dtype=np.float32)
        if arrays[name].shape != variable.shape:
            received = arrays[name].shape
            problems.append(
                Problem(
                    f"{name} has shape {variable.shape}; received {received}.",
                    received=list(received),
                )
            )
    if problems:
        raise WeightsError(*problems)
    return arrays


def _described(name: str, tensor: Tensor, layout: Layout) -> onnx.ValueInfoProto:
    sizes: list[str | int] = ["N", *example_shape(tensor)]
    if layout == "channels_first":
        sizes = [sizes[axis] for axis in order(layout, tensor.rank)]
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sizes)
