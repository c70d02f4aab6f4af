"""ONNX files of every opset, and with channels first, against those of the defaults."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_models import TOLERANCE, check_layout, checked, difference, lowered_weights, run
from small import family_spec

from model_zoo import BuildSpec, Graph, OptionError, Tensor, layers, primitives, trace
from model_zoo import activations as functions
from model_zoo.graph import build_graph
from model_zoo.onnx_lowering import RULES, onnx_model
from model_zoo.onnx_options import DEFAULT_OPSET, IR_VERSIONS, OPSETS
from model_zoo.values import makers
from model_zoo.verify import golden_value

ARCHITECTURES = ("cifarnet", "i3d", "mobilenet_v3_small", "nasnet_mobile")


def rest(x: Tensor) -> Tensor:
    """A network of what those architectures do not use: primitives, activations, normalizers."""
    x = layers.conv2d_transpose(x, 6, 3, 2, normalizer_fn=layers.layer_norm, activation_fn=None)
    x = primitives.rescale(layers.group_norm(x, 2), 2.0, 0.5)
    makes = [*makers("activation").values(), lambda: functions.gelu_with(approximate=True)]
    x = layers.batch_norm(primitives.concat([make()(x) for make in makes]), is_training=True)
    some = layers.softmax(primitives.slice_channels(x, 1, 4))
    joined = primitives.concat([primitives.clip(x, -1.5, 1.5), some])
    return primitives.resize_bilinear(joined, (5, 7))


@cache
def graph_of(name: str) -> Graph:
    """A network of an architecture, or that of the rest."""
    if name == "rest":
        return build_graph(rest, (4, 5, 3))
    return trace(BuildSpec.read(family_spec(name))).graph


def weights_of(name: str) -> dict[str, Any]:
    graph = graph_of(name)
    if name == "rest":
        return lowered_weights(graph)
    return {variable.name: golden_value(variable) for variable in graph.variables}


def batch_of(graph: Graph) -> Any:
    sizes = [size or 2 for size in graph.input.shape]
    return np.random.RandomState(5).normal(0.3, 1.2, sizes).astype(np.float32)


def test_the_graphs_here_use_every_primitive() -> None:
    used = {node.op for name in (*ARCHITECTURES, "rest") for node in graph_of(name).nodes}
    assert used - {"input"} == set(RULES)


@pytest.mark.heavy
@pytest.mark.parametrize("name", [*ARCHITECTURES, "rest"])
def test_every_opset_passes_the_checker_and_computes_the_same(name: str) -> None:
    graph, weights = graph_of(name), weights_of(name)
    batch = batch_of(graph)
    (expected,) = run(onnx_model(graph, weights), batch)
    for opset in OPSETS:
        model = onnx_model(graph, weights, opset=opset)
        content = checked(model)
        assert [(each.domain, each.version) for each in model.opset_import] == [("", opset)]
        assert difference(run(content, batch)[0], expected) < TOLERANCE
    for opset in (OPSETS[0], OPSETS[-1]):
        check_layout(graph, weights, [batch], opset=opset)


def averaged(x: Tensor) -> Tensor:
    return layers.avg_pool2d(x, 3, 1, "SAME")


def not_averaged(x: Tensor) -> Tensor:
    return layers.max_pool2d(layers.conv2d(x, 4, 3, normalizer_fn=layers.batch_norm), 2)


@pytest.mark.parametrize(("network", "is_same"), [(averaged, False), (not_averaged, True)])
def test_bits_depend_on_the_opset_only_where_windows_are_averaged(
    network: Callable[[Tensor], Tensor], is_same: bool
) -> None:
    """ONNX Runtime has one kernel for AveragePool up to opset 18, and another since."""
    graph = build_graph(network, (24, 24, 3))
    weights, batch = lowered_weights(graph), batch_of(graph)
    outputs = {opset: run(onnx_model(graph, weights, opset=opset), batch)[0] for opset in OPSETS}
    for opset, output in outputs.items():
        alike = is_same or opset > 18
        assert np.array_equal(output, outputs[DEFAULT_OPSET]) == alike, opset


def test_opsets_end_with_the_newest_of_onnx_and_onnx_runtime_reads_it() -> None:
    assert tuple(range(17, onnx.defs.onnx_opset_version() + 1)) == OPSETS
    model = onnx_model(build_graph(functions.relu, (3,)), {}, opset=OPSETS[-1])
    onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def test_a_file_has_the_version_that_its_opset_was_published_with() -> None:
    graph = build_graph(functions.relu, (3,))
    for opset, version in IR_VERSIONS.items():
        oldest = onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)])
        assert onnx_model(graph, {}, opset=opset).ir_version == version == oldest


def sizes(model: onnx.ModelProto) -> list[list[Any]]:
    return [
        [dim.dim_param or dim.dim_value for dim in info.type.tensor_type.shape.dim]
        for info in (*model.graph.input, *model.graph.output)
    ]


def test_channels_first_describes_the_input_and_the_output_so_and_transposes_nothing() -> None:
    image = build_graph(lambda x: layers.conv2d(x, 4, 3, stride=2), (7, 8, 6))
    model = onnx_model(image, lowered_weights(image), layout="nchw")
    assert sizes(model) == [["N", 6, 7, 8], ["N", 4, 4, 4]]
    assert "Transpose" not in [node.op_type for node in model.graph.node]
    video = build_graph(lambda x: layers.max_pool3d(x, 2), (4, 6, 8, 3))
    assert sizes(onnx_model(video, {}, layout="nchw")) == [["N", 3, 4, 6, 8], ["N", 3, 2, 3, 4]]
    row = build_graph(functions.relu, (6,))
    assert onnx_model(row, {}, layout="nchw") == onnx_model(row, {})


def test_named_outputs_have_channels_first_too() -> None:
    graph = build_graph(lambda x: layers.flatten(layers.conv2d(x, 4, 3)), (7, 8, 6))
    ends = {"conv": graph.nodes_before([graph.output])[-2].output, "flat": graph.output}
    model = onnx_model(graph, lowered_weights(graph), outputs=ends, layout="nchw")
    assert sizes(model) == [["N", 6, 7, 8], ["N", 4, 7, 8], ["N", 224]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"opset": 16},
            "opset does not accept '16'. Valid: '17', '18', '19', '20', '21', '22', '23', '24', "
            "'25', '26', '27', '28'.",
        ),
        ({"layout": "nchv"}, "layout does not accept 'nchv'. Did you mean 'nchw'?"),
    ],
)
def test_another_opset_or_layout_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        onnx_model(build_graph(functions.relu, (3,)), {}, **options)
    assert str(caught.value) == message
