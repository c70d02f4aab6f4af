"""Scoped layers on traces alone: names, shapes, counts, and what they refuse."""

from collections.abc import Callable
from typing import Any

import pytest

from model_zoo import BuildError, Tensor, arg_scope, end_point, variable_scope
from model_zoo.activations import relu6
from model_zoo.architectures.mobilenet_blocks import split_separable_conv2d
from model_zoo.graph import Graph, build_graph
from model_zoo.layers import (
    avg_pool2d,
    batch_norm,
    bias_add,
    conv2d,
    conv2d_transpose,
    convolution2d,
    dropout,
    flatten,
    fully_connected,
    group_norm,
    instance_norm,
    layer_norm,
    max_pool2d,
    separable_conv2d,
)
from model_zoo.primitives import concat, reduce_mean, squeeze
from model_zoo.values import l1_regularizer, l2_regularizer, ones_initializer


def traced(network: Callable[[Tensor], Tensor], shape: tuple[int, ...] = (8, 8, 3)) -> Graph:
    return build_graph(network, shape)


def variables(graph: Graph) -> list[tuple[str, tuple[int, ...]]]:
    return [(variable.name, variable.shape) for variable in graph.variables]


def refusal(network: Callable[[Tensor], Tensor], shape: tuple[int, ...] = (8, 8, 3)) -> str:
    with pytest.raises(BuildError) as caught:
        traced(network, shape)
    return caught.value.problems[0].message


def test_axes_may_count_from_the_last_dimension() -> None:
    graph = traced(lambda x: squeeze(reduce_mean(x, [-3, 2]), [1, -2]))
    assert graph.output.shape == (None, 3)
    assert [node.attributes.get("axes") for node in graph.nodes] == [None, (1, 2), (1, 2)]


@pytest.mark.parametrize("axes", ["height", ["height"], 0, [1, 4], [-4], [1.0], [True]])
def test_axes_are_dimensions_after_the_batch(axes: Any) -> None:
    for primitive in (reduce_mean, squeeze):
        assert refusal(lambda x, primitive=primitive: primitive(x, axes)) == (
            f"axes of {primitive.__name__} must be a list of integers from 1 to 3, the dimensions "
            f"of input after the batch; received {axes!r}."
        )


def test_default_names_count_up_and_given_names_stay() -> None:
    def network(x: Tensor) -> Tensor:
        with variable_scope("Net"):
            x = conv2d(x, 4, 3)
            x = conv2d(x, 4, 3)
            x = conv2d(x, 4, 3, scope="mine")
            return conv2d(x, 4, 3)

    assert [name for name, _ in variables(traced(network))][::2] == [
        "Net/Conv/weights",
        "Net/Conv_1/weights",
        "Net/mine/weights",
        "Net/Conv_2/weights",
    ]


def test_default_names_inside_a_scope_start_anew_when_it_is_entered_again() -> None:
    def network(x: Tensor) -> Tensor:
        with variable_scope("a"):
            x = conv2d(x, 4, 3)
        with variable_scope("a"):
            return conv2d(x, 4, 3)

    assert refusal(network) == (
        "Variable a/Conv/weights exists already; give the layer another scope, or reuse=True."
    )


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (
            lambda x: conv2d(x, 4, [3, 2], normalizer_fn=batch_norm),
            [
                ("Conv/weights", (3, 2, 3, 4)),
                ("Conv/BatchNorm/beta", (4,)),
                ("Conv/BatchNorm/moving_mean", (4,)),
                ("Conv/BatchNorm/moving_variance", (4,)),
            ],
        ),
        (
            lambda x: separable_conv2d(x, 4, 3, depth_multiplier=2),
            [
                ("SeparableConv2d/depthwise_weights", (3, 3, 3, 2)),
                ("SeparableConv2d/pointwise_weights", (1, 1, 6, 4)),
                ("SeparableConv2d/biases", (4,)),
            ],
        ),
        (
            lambda x: separable_conv2d(x, None, 3, biases_initializer=None),
            [("SeparableConv2d/depthwise_weights", (3, 3, 3, 1))],
        ),
        (
            lambda x: conv2d_transpose(x, 4, 2, stride=2),
            [("Conv2d_transpose/weights", (2, 2, 4, 3)), ("Conv2d_transpose/biases", (4,))],
        ),
        (
            lambda x: fully_connected(x, 4),
            [("fully_connected/weights", (3, 4)), ("fully_connected/biases", (4,))],
        ),
        (
            lambda x: batch_norm(x, scale=True),
            [
                ("BatchNorm/gamma", (3,)),
                ("BatchNorm/beta", (3,)),
                ("BatchNorm/moving_mean", (3,)),
                ("BatchNorm/moving_variance", (3,)),
            ],
        ),
        (
            lambda x: batch_norm(flatten(x), scale=True),
            [
                ("BatchNorm/beta", (192,)),
                ("BatchNorm/gamma", (192,)),
                ("BatchNorm/moving_mean", (192,)),
                ("BatchNorm/moving_variance", (192,)),
            ],
        ),
        (layer_norm, [("LayerNorm/beta", (3,)), ("LayerNorm/gamma", (3,))]),
        (
            lambda x: group_norm(x, groups=3),
            [("GroupNorm/beta", (3,)), ("GroupNorm/gamma", (3,))],
        ),
        (
            lambda x: instance_norm(x, center=False),
            [("InstanceNorm/gamma", (3,))],
        ),
        (bias_add, [("BiasAdd/biases", (3,))]),
    ],
)
def test_variables_have_the_published_names_order_and_shapes(layer: Any, expected: Any) -> None:
    assert variables(traced(layer)) == expected


def test_multiply_adds() -> None:
    def counted(layer: Callable[[Tensor], Tensor]) -> int:
        return sum(node.multiply_adds for node in traced(layer).nodes)

    assert counted(lambda x: conv2d(x, 4, 3, stride=2)) == 4 * 4 * 3 * 3 * 3 * 4
    assert counted(lambda x: separable_conv2d(x, 4, 3)) == 8 * 8 * (3 * 3 * 3 + 3 * 4)
    assert counted(lambda x: conv2d_transpose(x, 4, 2, stride=2)) == 8 * 8 * 2 * 2 * 3 * 4
    assert counted(lambda x: fully_connected(x, 4)) == 8 * 8 * 3 * 4


def test_a_scope_reaches_the_normalizer_inside_a_layer() -> None:
    def network(x: Tensor) -> Tensor:
        with (
            arg_scope([conv2d], normalizer_fn=batch_norm, activation_fn=relu6),
            arg_scope([batch_norm], scale=True, decay=0.5),
        ):
            return conv2d(x, 4, 3, normalizer_params={"decay": 0.25})

    graph = traced(network)
    assert ("Conv/BatchNorm/gamma", (4,)) in variables(graph)
    (node,) = [node for node in graph.nodes if node.op == "batch_norm"]
    assert node.attributes["decay"] == 0.25
    assert [call.op.name for call in graph.calls] == ["conv2d", "batch_norm"]
    assert graph.calls[1].parent is graph.calls[0]


def test_trainable_regularizers_and_initializers_reach_the_variables() -> None:
    graph = traced(
        lambda x: conv2d(
            x,
            4,
            3,
            trainable=False,
            weights_regularizer=l2_regularizer(0.1),
            biases_regularizer=l1_regularizer(0.2),
            biases_initializer=ones_initializer(),
        )
    )
    weights, biases = graph.variables
    assert (weights.trainable, weights.regularizer) == (False, l2_regularizer(0.1))
    assert (biases.initializer, biases.regularizer) == (ones_initializer(), l1_regularizer(0.2))


def test_normalizer_takes_its_own_trainable() -> None:
    graph = traced(lambda x: conv2d(x, 4, 3, trainable=False, normalizer_fn=batch_norm))
    assert [v.trainable for v in graph.variables] == [False, True, False, False]


def test_convolution2d_is_conv2d() -> None:
    assert convolution2d is conv2d


def test_end_points_keep_their_order_and_the_last_name_wins() -> None:
    def network(x: Tensor) -> Tensor:
        end_point("a", x)
        x = end_point("b", flatten(x))
        return end_point("a", x)

    graph = traced(network)
    assert list(graph.end_points) == ["a", "b"]
    assert graph.end_points["a"] is graph.output


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            lambda x: conv2d(x, 4, 9, padding="VALID"),
            "a window of 9 with VALID padding does not fit an input of size 8; a larger "
            "input_shape, padding SAME or a smaller kernel would.",
        ),
        (
            lambda x: conv2d(x, 4, 3, stride=2, rate=2),
            "stride (=(2, 2)) and rate (=(2, 2)) cannot both be above 1 in one convolution.",
        ),
        (
            lambda x: conv2d(x, 0, 3),
            "every dimension of weights must be an integer of at least 1; received (3, 3, 3, 0).",
        ),
        (
            lambda x: conv2d(x, 4, [3, 0]),
            "kernel_size takes an integer of at least 1, or two of them; received [3, 0].",
        ),
        (
            lambda x: conv2d(x, 4, 3, padding="FULL"),  # type: ignore[arg-type]
            "padding is 'SAME' or 'VALID'; received 'FULL'.",
        ),
        (
            lambda x: conv2d(flatten(x), 4, 3),
            "conv2d takes a tensor of rank 4; received shape (None, 192).",
        ),
        (
            lambda x: separable_conv2d(x, None, 3, stride=[1, 2]),
            "a depthwise convolution takes equal strides; received (1, 2).",
        ),
        (
            lambda x: max_pool2d(flatten(x), 2),
            "max_pool2d takes a tensor of rank 4; received shape (None, 192).",
        ),
        (
            lambda x: avg_pool2d(x, 2, 0),
            "stride takes an integer of at least 1, or two of them; received 0.",
        ),
        (
            lambda x: group_norm(x, groups=2),
            "groups (=2) must divide the channels (=3) of input.",
        ),
        (
            lambda x: group_norm(flatten(x), groups=2),
            "reduction_axes (-3, -2) must name dimensions between the batch and the channels, "
            "each once; Flatten/Reshape has shape (None, 192).",
        ),
        (
            lambda x: group_norm(x, groups=3, reduction_axes=[1, -3]),
            "reduction_axes [1, -3] must name dimensions between the batch and the channels, "
            "each once; input has shape (None, 8, 8, 3).",
        ),
        (
            lambda x: layer_norm(x, begin_norm_axis=0),
            "begin_norm_axis must name a dimension after the batch of a tensor of rank 4; "
            "it comes to 0.",
        ),
        (
            lambda x: batch_norm(x, param_initializers={"gama": ones_initializer()}),
            "param_initializers and param_regularizers have no entry 'gama'. Did you mean 'gamma'?",
        ),
        (
            lambda x: fully_connected(x, 0),
            "num_outputs must be an integer of at least 1; received 0.",
        ),
        (
            lambda x: dropout(x, noise_shape=[1, 1]),
            "noise_shape must have as many dimensions as the input, 4; received (1, 1).",
        ),
        (
            lambda x: squeeze(x, [1, 2]),
            "cannot squeeze dimension 1 of input, which has size 8 and not 1; a smaller "
            "input_shape, global_pool or no spatial_squeeze would avoid that.",
        ),
        (
            lambda x: concat([x, max_pool2d(x, 2)]),
            "cannot join input (None, 8, 8, 3) and MaxPool2D/MaxPool (None, 4, 4, 3): "
            "all but the channels must be equal.",
        ),
        (
            lambda x: conv2d(x, 4, 3, normalizer_fn="batch_norm"),  # type: ignore[arg-type]
            "normalizer_fn is a function or None; received 'batch_norm'.",
        ),
        (
            lambda x: conv2d(x, 4, 3, reuse=True),
            "reuse is true, but there is no variable Conv/weights to share yet.",
        ),
        (
            lambda x: conv2d(conv2d(x, 4, 3, scope="a"), 4, 3, scope="a", reuse=True),
            "reuse is true, but variable a/weights has shape (3, 3, 3, 4), not (3, 3, 4, 4).",
        ),
    ],
)
def test_refusals_say_the_rule_what_was_received_and_what_would_do(
    layer: Any, message: str
) -> None:
    assert refusal(layer) == message


def test_layers_outside_of_a_trace_are_refused() -> None:
    with pytest.raises(BuildError) as caught:
        flatten(Tensor("x", (None, 2)))
    assert caught.value.problems[0].message == (
        "Layers run only while a network is traced: see model_zoo.trace."
    )


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize(("scope", "prefix"), [("net", "net_"), (None, "separable/")])
def test_split_separable_convolution_is_two_layers(
    scope: str | None, prefix: str, explicit: bool
) -> None:
    graph = traced(
        lambda x: split_separable_conv2d(
            x, 5, batch_norm, stride=2, use_explicit_padding=explicit, scope=scope
        )
    )
    weights = [(name, shape) for name, shape in variables(graph) if name.endswith("weights")]
    assert weights == [
        (f"{prefix}depthwise/depthwise_weights", (3, 3, 3, 1)),
        (f"{prefix}pointwise/weights", (1, 1, 3, 5)),
    ]
    assert graph.output.shape == (None, 4, 4, 5)
