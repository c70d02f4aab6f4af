"""Each primitive in ONNX Runtime against the same primitive in Keras."""

import doctest
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx_models import agree, lowered_weights, run

from model_zoo import BuildError, Graph, Tensor, WeightsError, activations, layers, primitives
from model_zoo.activations import Activation
from model_zoo.graph import build_graph, current_graph
from model_zoo.lowering import RULES as KERAS_RULES
from model_zoo.onnx_lowering import RULES, layout, onnx_model, windows
from model_zoo.onnx_lowering.rules import rule
from model_zoo.values import makers

Network = Callable[[Tensor], Tensor]
PLAIN: dict[str, Any] = {"activation_fn": None, "biases_initializer": None}
IMAGE = (7, 8, 6)
VIDEO = (5, 6, 7, 4)


def exported(network: Network, shape: tuple[int, ...]) -> onnx.ModelProto:
    graph = build_graph(network, shape)
    return onnx_model(graph, lowered_weights(graph))


def ops(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_every_primitive_has_a_rule() -> None:
    assert set(RULES) == set(KERAS_RULES)


@pytest.mark.parametrize("module", [layout, windows])
def test_examples_in_docstrings_run(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("shape", [(11, 8, 3), (10, 9, 3)])
@pytest.mark.parametrize(
    ("kernel", "stride", "rate"),
    [
        ([3, 2], 1, 1),
        ([4, 3], 2, 1),
        ([3, 5], [2, 1], 1),
        (1, 3, 1),
        ([2, 3], 1, 2),
        (3, 1, [1, 3]),
    ],
)
def test_conv2d(kernel: Any, stride: Any, rate: Any, shape: tuple[int, ...], padding: Any) -> None:
    agree(
        lambda x: layers.conv2d(
            x, 4, kernel, stride=stride, rate=rate, padding=padding, activation_fn=None
        ),
        shape,
    )


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    ("kernel", "stride", "rate"), [([3, 2, 4], 1, 1), (3, [1, 2, 3], 1), (2, 1, [1, 2, 3])]
)
def test_conv3d(kernel: Any, stride: Any, rate: Any, padding: Any) -> None:
    agree(lambda x: layers.conv3d(x, 3, kernel, stride, padding, rate), VIDEO)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    ("kernel", "stride", "rate"), [([3, 2], 1, 1), ([4, 3], 2, 1), (3, 1, 2), ([2, 3], 1, [3, 1])]
)
def test_depthwise_conv2d(kernel: Any, stride: int, rate: Any, padding: Any) -> None:
    agree(
        lambda x: layers.separable_conv2d(x, None, kernel, 2, stride, padding, rate),
        (9, 10, 3),
    )


def test_separable_conv2d() -> None:
    agree(lambda x: layers.separable_conv2d(x, 5, [3, 2], 2, stride=2), (9, 10, 3))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 3, [2, 5]])
@pytest.mark.parametrize("kernel", [[3, 2], [5, 4]])
def test_conv2d_transpose(kernel: Any, stride: Any, padding: Any) -> None:
    agree(lambda x: layers.conv2d_transpose(x, 4, kernel, stride, padding), (5, 6, 3))


@pytest.mark.parametrize("shape", [(6,), (5, 6), (4, 5, 6), VIDEO])
def test_matmul(shape: tuple[int, ...]) -> None:
    model = agree(lambda x: layers.fully_connected(x, 3), shape)
    assert ("Gemm" in ops(model)) == (len(shape) == 1)
    assert "Add" not in ops(model)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    ("kernel", "stride"), [(2, 2), (3, 1), (3, 2), ([3, 2], [1, 2]), (1, 2), ([5, 4], 3)]
)
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_pooling(name: str, kernel: Any, stride: Any, padding: Any) -> None:
    agree(lambda x: getattr(layers, name)(x, kernel, stride, padding), IMAGE)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), ([3, 2, 4], [1, 2, 3]), ([1, 3, 3], 2)])
@pytest.mark.parametrize("name", ["max_pool3d", "avg_pool3d"])
def test_pooling_over_time(name: str, kernel: Any, stride: Any, padding: Any) -> None:
    agree(lambda x: getattr(layers, name)(x, kernel, stride, padding), VIDEO)


@pytest.mark.parametrize("shape", [(6,), (5, 6), IMAGE, VIDEO])
@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize(("center", "scale"), [(True, True), (True, False), (False, False)])
@pytest.mark.parametrize("fused", [None, False])
def test_batch_norm(
    shape: tuple[int, ...], is_training: bool, center: bool, scale: bool, fused: bool | None
) -> None:
    options = {"center": center, "scale": scale, "is_training": is_training, "fused": fused}
    options["trainable"] = scale  # which moves no value of a prediction
    agree(lambda x: layers.batch_norm(x, epsilon=1e-2, **options), shape)


@pytest.mark.parametrize(
    ("groups", "axes"), [(2, (-3, -2)), (6, (1, 2)), (3, (1,)), (2, (-2,)), (1, (2, 1)), (3, ())]
)
@pytest.mark.parametrize(("center", "scale"), [(True, True), (False, False)])
def test_group_norm(groups: int, axes: tuple[int, ...], center: bool, scale: bool) -> None:
    agree(
        lambda x: layers.group_norm(x, groups, axes, center, scale, epsilon=1e-3),
        IMAGE,
    )


@pytest.mark.parametrize("shape", [IMAGE, VIDEO])
def test_instance_norm(shape: tuple[int, ...]) -> None:
    agree(lambda x: layers.instance_norm(x, scale=False, epsilon=1e-3), shape)


@pytest.mark.parametrize(
    ("shape", "norm_axis", "params_axis"),
    [
        ((6,), 1, -1),
        ((5, 6), 2, -1),
        (IMAGE, 1, -1),
        (IMAGE, 2, -1),
        (IMAGE, 1, 1),
        (IMAGE, -1, -2),
        (IMAGE, -1, -1),
        (VIDEO, 2, 2),
    ],
)
@pytest.mark.parametrize(("center", "scale"), [(True, True), (False, True), (False, False)])
def test_layer_norm(
    shape: tuple[int, ...], norm_axis: int, params_axis: int, center: bool, scale: bool
) -> None:
    agree(
        lambda x: layers.layer_norm(
            x, center, scale, begin_norm_axis=norm_axis, begin_params_axis=params_axis
        ),
        shape,
    )


@pytest.mark.parametrize("radius", [0, 1, 4])
def test_local_response_normalization(radius: int) -> None:
    options = {"depth_radius": radius, "bias": 1.5, "alpha": 0.2, "beta": 0.75}
    agree(lambda x: primitives.local_response_normalization(x, **options), IMAGE)


@pytest.mark.parametrize("name", makers("activation"))
@pytest.mark.parametrize("shape", [(64,), (2, 3, 64)])
def test_activation(name: str, shape: tuple[int, ...]) -> None:
    agree(lambda x: makers("activation")[name]()(primitives.rescale(x, 4.0)), shape)


@pytest.mark.parametrize(
    "function",
    [
        activations.leaky_relu_with(alpha=0.4),
        activations.leaky_relu_with(alpha=1.5),
        activations.gelu_with(approximate=True),
    ],
    ids=str,
)
def test_activation_with_arguments(function: Activation) -> None:
    agree(lambda x: function(primitives.rescale(x, 3.0)), IMAGE)


@pytest.mark.parametrize("shape", [(6,), (5, 6), IMAGE, VIDEO])
def test_softmax(shape: tuple[int, ...]) -> None:
    agree(layers.softmax, shape)


@pytest.mark.parametrize("shape", [(6,), (5, 6), IMAGE, VIDEO, (1, 1, 6), (4, 3, 1)])
def test_flatten(shape: tuple[int, ...]) -> None:
    agree(layers.flatten, shape)
    agree(lambda x: layers.flatten(activations.relu(x)), shape)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((1, 1, 6), [1, 2]),
        ((1, 4, 6), [1]),
        ((4, 1, 6), [2]),
        ((3, 4, 1), [3]),
        ((1, 4, 1), [1, 3]),
        ((3, 1), [2]),
        ((2, 3, 1, 4, 1), [3, 5]),
        ((1, 3, 2), []),
    ],
)
def test_squeeze(shape: tuple[int, ...], axes: list[int]) -> None:
    agree(lambda x: activations.relu(primitives.squeeze(x, axes)), shape)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [(IMAGE, [1, 2]), (IMAGE, [2]), (IMAGE, [3]), (IMAGE, []), (VIDEO, [1]), (VIDEO, [2, 3])],
)
def test_reduce_mean(shape: tuple[int, ...], axes: list[int]) -> None:
    agree(lambda x: primitives.reduce_mean(x, axes), shape)


@pytest.mark.parametrize("shape", [(6,), IMAGE, VIDEO])
def test_joining_and_slicing_channels(shape: tuple[int, ...]) -> None:
    def network(x: Tensor) -> Tensor:
        parts = [primitives.slice_channels(x, 1, 2), x, primitives.slice_channels(x, 0, 1)]
        return primitives.concat([primitives.concat(parts)])

    agree(network, shape)


def test_padding_and_cropping() -> None:
    agree(lambda x: primitives.pad(x, (1, 0), (2, 3)), IMAGE)
    agree(lambda x: primitives.pad(x, (1, 0, 2), (2, 3, 0)), VIDEO)
    agree(lambda x: primitives.crop(x, (1, 0), (2, 3)), IMAGE)


@pytest.mark.parametrize("size", [(3, 5), (9, 2), (1, 1)])
@pytest.mark.parametrize("shape", [IMAGE, (1, 1, 3)])
def test_resize_bilinear(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    agree(lambda x: primitives.resize_bilinear(x, size), shape)


def test_arithmetic() -> None:
    agree(lambda x: primitives.add(x, activations.tanh(x)), IMAGE)
    agree(lambda x: primitives.multiply(x, primitives.reduce_mean(x, [1, 2])), IMAGE)
    agree(lambda x: primitives.multiply(x, primitives.slice_channels(x, 2, 1)), VIDEO)
    agree(lambda x: primitives.rescale(x, 2.5, -0.5), IMAGE)
    agree(lambda x: primitives.rescale(x, 0.5), IMAGE)
    agree(lambda x: primitives.clip(x, -0.25, 0.75), IMAGE)


def test_dropout_is_nothing_unless_training() -> None:
    model = agree(lambda x: layers.dropout(x, 0.8, is_training=False), (6,))
    assert ops(model) == ["Identity"]
    agree(lambda x: layers.dropout(x, 1.0, is_training=True), IMAGE)


def test_active_dropout_is_refused() -> None:
    graph = build_graph(lambda x: layers.dropout(x, 0.8, scope="drop"), (6,))
    with pytest.raises(WeightsError) as caught:
        onnx_model(graph, {})
    assert str(caught.value) == (
        "drop has is_training true, so it drops at random, which an ONNX model cannot do as "
        "TensorFlow does; export the network with is_training false."
    )
    assert caught.value.__notes__ == ["while lowering drop/dropout (dropout) to ONNX"]


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3)])
def test_biases_by_themselves(shape: tuple[int, ...]) -> None:
    agree(layers.bias_add, shape)


def test_biases_go_into_the_convolution() -> None:
    model = agree(lambda x: layers.conv2d(x, 4, 3, padding="VALID"), IMAGE)
    assert ops(model) == ["Transpose", "Conv", "Relu", "Transpose"]
    assert list(model.graph.node[1].input[1:]) == ["Conv/weights", "Conv/biases"]


def test_biases_of_a_value_that_others_read_stay_outside() -> None:
    def network(x: Tensor) -> Tensor:
        x = layers.conv2d(x, 4, 3, **PLAIN)
        return primitives.add(layers.bias_add(x), x)

    assert ops(agree(network, IMAGE)) == ["Transpose", "Conv", "Add", "Add", "Transpose"]


def test_biases_after_a_reader_that_is_left_out_go_into_the_convolution() -> None:
    def network(x: Tensor) -> Tensor:
        x = layers.conv2d(x, 4, 3, **PLAIN)
        layers.conv2d(x, 2, 1, scope="auxiliary")
        return layers.bias_add(x)

    model = agree(network, IMAGE)
    assert ops(model) == ["Transpose", "Conv", "Transpose"]
    assert [i.name for i in model.graph.initializer] == ["Conv/weights", "BiasAdd/biases"]


def test_shared_variables_are_one_initializer() -> None:
    def network(x: Tensor) -> Tensor:
        x = layers.conv2d(x, 6, 3, scope="same")
        return layers.conv2d(x, 6, 3, scope="same", reuse=True)

    model = agree(network, IMAGE)
    assert [i.name for i in model.graph.initializer] == ["same/weights", "same/biases"]


def test_a_variable_shared_in_two_forms_is_held_in_both() -> None:
    def network(x: Tensor) -> Tensor:
        x = layers.fully_connected(x, 6, scope="same")
        x = primitives.squeeze(primitives.reduce_mean(x, [1, 2]), [1, 2])
        return layers.fully_connected(x, 6, scope="same", reuse=True)

    model = agree(network, IMAGE)
    found = {i.name: tuple(i.dims) for i in model.graph.initializer}
    assert found["same/weights"] == (6, 6, 1, 1)
    assert found["same/weights:1"] == (6, 6)
    assert found["same/biases"] == (6,)


def test_initializers_have_the_variables_names_in_the_layout_of_onnx() -> None:
    def network(x: Tensor) -> Tensor:
        x = layers.conv2d(x, 4, [3, 2], normalizer_fn=layers.batch_norm, scope="first")
        x = layers.separable_conv2d(x, None, [3, 2], 2, scope="second")
        return layers.conv2d_transpose(x, 5, [3, 2], scope="third")

    found = {i.name: tuple(i.dims) for i in exported(network, IMAGE).graph.initializer}
    assert found["first/weights"] == (4, 6, 3, 2)
    assert found["first/BatchNorm/beta"] == (4, 1, 1)
    assert found["second/depthwise_weights"] == (8, 1, 3, 2)
    assert found["third/weights"] == (8, 5, 3, 2)


def test_nodes_have_the_names_of_the_graph() -> None:
    def network(x: Tensor) -> Tensor:
        x = layers.group_norm(x, 2, scope="norm")
        return activations.swish(layers.conv2d(x, 4, 3, activation_fn=None, scope="conv"))

    names = [node.name for node in exported(network, IMAGE).graph.node]
    assert [name for name in names if ":" not in name] == [
        "norm/groupnorm",
        "conv/Conv2D",
        "swish",
        "output",
    ]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["input", "output", "weights", "constant"])
def test_names_that_the_model_needs_are_free_for_layers(name: str) -> None:
    def network(x: Tensor) -> Tensor:
        weights = current_graph().variable("weights", (6, 6), values_of("ones_initializer"))
        x = primitives.matmul(primitives.clip(x, 0.0, 1.0, name=name), weights)
        return primitives.rescale(x, 2.0, name=name)

    agree(network, (6,))


def values_of(name: str) -> Any:
    return makers("initializer")[name]()


def test_the_input_may_be_the_output() -> None:
    for shape in ((6,), IMAGE):
        assert ops(agree(lambda x: x, shape)) == ["Identity"]


def test_size_of_the_batch_is_free_and_the_others_fixed() -> None:
    model = exported(lambda x: layers.conv2d(x, 4, 3, stride=2), IMAGE)
    sizes = [
        [dim.dim_param or dim.dim_value for dim in info.type.tensor_type.shape.dim]
        for info in (*model.graph.input, *model.graph.output)
    ]
    assert sizes == [["N", 7, 8, 6], ["N", 4, 4, 4]]
    assert [info.name for info in (*model.graph.input, *model.graph.output)] == ["input", "output"]
    (output,) = run(model, np.zeros((5, *IMAGE), np.float32))
    assert output.shape == (5, 4, 4, 4)


def test_metadata_is_carried_in_one_order() -> None:
    graph = build_graph(activations.relu, (6,))
    models = [
        onnx_model(graph, {}, metadata=m) for m in ({"b": "2", "a": "1"}, {"a": "1", "b": "2"})
    ]
    assert [(entry.key, entry.value) for entry in models[0].metadata_props] == [
        ("a", "1"),
        ("b", "2"),
    ]
    assert models[0] == models[1]
    assert models[0].producer_name == "model-zoo-service"


def test_weights_that_are_missing_or_of_another_shape_are_refused_together() -> None:
    graph = build_graph(lambda x: layers.fully_connected(x, 3, scope="fc"), (6,))
    with pytest.raises(WeightsError) as caught:
        onnx_model(graph, {"fc/weights": np.zeros((3, 6)), "other": np.zeros(1)})
    assert [problem.message for problem in caught.value.problems] == [
        "fc/weights has shape (6, 3); received (3, 6).",
        "The weights lack fc/biases; a value of shape (3,) is needed.",
    ]


def refused(network: Network, shape: tuple[int, ...] = (6,)) -> str:
    with pytest.raises(BuildError) as caught:
        onnx_model(build_graph(network, shape), {})
    return str(caught.value)


def test_unknown_primitive_is_refused() -> None:
    message = refused(lambda x: current_graph().emit("max_pool4d", (x,), x.shape, name="pool"))
    assert message == (
        "pool: there is no ONNX rule for the primitive 'max_pool4d'. "
        "Did you mean 'max_pool3d' or 'max_pool2d' or 'avg_pool3d'?"
    )


def test_unknown_activation_is_refused() -> None:
    assert refused(Activation("hard_swiss")) == (
        "hard_swiss: there is no ONNX rule for the activation 'hard_swiss'. "
        "Did you mean 'hard_swish' or 'hard_sigmoid'?"
    )


def test_unknown_size_is_refused() -> None:
    graph = build_graph(activations.relu, (6,))
    unknown = Tensor("open", (None, None, 6))
    opened = Graph(unknown, graph.output, (), (), {}, ())
    with pytest.raises(BuildError) as caught:
        onnx_model(opened, {})
    assert str(caught.value) == (
        "open has shape (None, None, 6): every size but the batch's must be known, which an "
        "input_shape of integers gives."
    )


def test_second_rule_of_a_primitive_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^There is already an ONNX rule for add\.$"):
        rule("add")(RULES["add"])
