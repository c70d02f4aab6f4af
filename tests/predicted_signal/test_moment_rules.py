"""The rule of each primitive against networks with drawn weights."""

import re
from pathlib import Path
from typing import Any

import pytest
from sampling import Network, ratio

from model_zoo import Tensor, primitives
from model_zoo.activations import elu, hard_swish, relu, relu6, tanh
from model_zoo.graph import build_graph
from model_zoo.layers import (
    avg_pool2d,
    avg_pool3d,
    batch_norm,
    bias_add,
    conv2d,
    conv2d_transpose,
    conv3d,
    dropout,
    flatten,
    fully_connected,
    group_norm,
    instance_norm,
    layer_norm,
    max_pool2d,
    max_pool3d,
    separable_conv2d,
    softmax,
)
from model_zoo.predicted_signal.prediction import predict_signal
from model_zoo.predicted_signal.rules import RULES
from model_zoo.values import (
    center_initializer,
    constant_initializer,
    random_normal_initializer,
    random_uniform_initializer,
    truncated_normal_initializer,
    variance_scaling_initializer,
)

PLAIN: dict[str, Any] = {"activation_fn": None, "biases_initializer": None}
BIASED: dict[str, Any] = {"biases_initializer": constant_initializer(0.3)}
MAP = (9, 8, 6)
VIDEO = (5, 6, 6, 4)


def test_every_primitive_has_a_rule() -> None:
    source = Path(primitives.__file__).read_text()
    emitted = set(re.findall(r'emit\(\s*"(\w+)"', source))
    emitted |= set(re.findall(r'_emit_counted\(\s*"(\w+)"', source))
    emitted |= {f"{op}{d}d" for op in ("conv", "max_pool", "avg_pool") for d in (2, 3)}
    assert emitted | {"activation"} == set(RULES)


def bent(x: Tensor, depth: int = 64) -> Tensor:
    """Return features as they are inside a network: many channels, not negative."""
    return conv2d(x, depth, 3, **BIASED)


def straight(x: Tensor, depth: int = 64) -> Tensor:
    """Return features before their activation, whose channels have means of their own."""
    return conv2d(bent(x), depth, 3, activation_fn=None, **BIASED)


# What single layers and short chains give is exact for wide layers: what is left is the noise of
# the draws, and half a percent of the moments of functions with bends.
EXACT: dict[str, Network] = {
    "conv2d": lambda x: conv2d(x, 256, 3, **PLAIN),
    "conv2d with VALID padding": lambda x: conv2d(x, 256, [3, 2], padding="VALID", **PLAIN),
    "conv2d with a stride": lambda x: conv2d(x, 256, 5, stride=2, **PLAIN),
    "conv2d with a rate": lambda x: conv2d(x, 256, 3, rate=3, **PLAIN),
    "conv2d with fan out": lambda x: conv2d(
        x, 256, 3, weights_initializer=variance_scaling_initializer(mode="FAN_OUT"), **PLAIN
    ),
    "conv2d with biases": lambda x: conv2d(x, 256, 3, activation_fn=None, **BIASED),
    "conv2d with random biases": lambda x: conv2d(
        x, 256, 3, activation_fn=None, biases_initializer=random_normal_initializer(0.5, 0.5)
    ),
    "conv2d of what is not centred": lambda x: conv2d(bent(x), 256, 3, **PLAIN),
    "relu": lambda x: conv2d(x, 256, 3),
    "relu6": lambda x: conv2d(
        x,
        256,
        3,
        activation_fn=relu6,
        weights_initializer=random_normal_initializer(0.0, 1.0),
    ),
    "tanh of biased values": lambda x: conv2d(x, 256, 3, activation_fn=tanh, **BIASED),
    "hard_swish": lambda x: conv2d(x, 256, 3, activation_fn=hard_swish),
    "elu of relu": lambda x: elu(bent(x, 256)),
    "clip": lambda x: primitives.clip(conv2d(x, 256, 3, **PLAIN), -0.5, 1.0),
    "rescale": lambda x: primitives.rescale(conv2d(x, 256, 3), 3.0, 0.5),
    "fully_connected": lambda x: fully_connected(flatten(x), 256, **PLAIN),
    "separable_conv2d": lambda x: separable_conv2d(bent(x), 256, 3, **PLAIN),
    "depthwise": lambda x: separable_conv2d(bent(x, 256), None, 3, depth_multiplier=2, **PLAIN),
    "conv2d_transpose": lambda x: conv2d_transpose(x, 256, 3, 2, **PLAIN),
    "conv2d_transpose with VALID padding": lambda x: conv2d_transpose(
        x, 256, 5, 2, padding="VALID", **PLAIN
    ),
    "batch_norm with initial averages": lambda x: batch_norm(
        bent(x), is_training=False, scale=True, epsilon=0.5
    ),
    "batch_norm with given values": lambda x: batch_norm(
        bent(x, 256),
        is_training=False,
        scale=True,
        param_initializers={
            "gamma": random_uniform_initializer(0.5, 1.5),
            "beta": random_normal_initializer(0.2, 0.1),
            "moving_mean": constant_initializer(0.2),
            "moving_variance": constant_initializer(4.0),
        },
    ),
    "batch_norm in training": lambda x: batch_norm(bent(x), is_training=True, epsilon=0.2),
    "features after batch_norm in training": lambda x: conv2d(
        conv2d(x, 128, 3, normalizer_fn=batch_norm), 256, 3, **PLAIN
    ),
    "layer_norm": lambda x: relu(layer_norm(straight(x))),
    "layer_norm of channels": lambda x: relu(layer_norm(straight(x), begin_norm_axis=-1)),
    "group_norm": lambda x: relu(group_norm(straight(x), groups=16, epsilon=0.2)),
    "group_norm of rows": lambda x: relu(group_norm(straight(x), groups=64, reduction_axes=[1])),
    "instance_norm": lambda x: instance_norm(straight(x), epsilon=0.2),
    "local_response_normalization": lambda x: primitives.local_response_normalization(
        bent(x), depth_radius=4, bias=1.0, alpha=0.05, beta=0.75
    ),
    "max_pool2d": lambda x: max_pool2d(conv2d(x, 256, 1, **PLAIN), 3),
    "max_pool2d of relu": lambda x: max_pool2d(bent(x, 256), 2),
    "max_pool2d with padding": lambda x: max_pool2d(bent(x, 256), 3, padding="SAME"),
    "max_pool2d of all": lambda x: max_pool2d(bent(x, 256), [9, 8]),
    "avg_pool2d": lambda x: avg_pool2d(bent(x, 256), 3),
    "avg_pool2d with padding": lambda x: avg_pool2d(bent(x, 256), 3, 1, padding="SAME"),
    "avg_pool2d of all": lambda x: avg_pool2d(bent(x, 256), [9, 8]),
    "reduce_mean": lambda x: primitives.reduce_mean(bent(x, 256), [1, 2]),
    "reduce_mean of all": lambda x: primitives.reduce_mean(bent(x, 256), [1, 2, 3]),
    "features after reduce_mean": lambda x: conv2d(
        primitives.reduce_mean(bent(x, 128), [1, 2]), 256, 1, **PLAIN
    ),
    "softmax": lambda x: softmax(
        fully_connected(
            flatten(x),
            1024,
            weights_initializer=truncated_normal_initializer(0.0, 0.02),
            **PLAIN,
        )
    ),
    "pad and crop": lambda x: conv2d(
        primitives.crop(primitives.pad(bent(x), (2, 1), (0, 3)), (1, 0), (0, 2)), 256, 3, **PLAIN
    ),
    "resize_bilinear": lambda x: primitives.resize_bilinear(bent(x, 256), (17, 31)),
    "slice_channels": lambda x: primitives.slice_channels(bent(x, 256), 3, 128),
    "concat": lambda x: conv2d(
        primitives.concat([bent(x), conv2d(x, 128, 1, **PLAIN)]), 256, 3, **PLAIN
    ),
    "add": lambda x: primitives.add(bent(x, 256), conv2d(x, 256, 1, **PLAIN)),
    "add to itself": lambda x: primitives.add(net := bent(x, 256), net),
    "add to its mean": lambda x: primitives.add(
        net := conv2d(x, 256, 1, **PLAIN), avg_pool2d(net, 3, 1, padding="SAME")
    ),
    "multiply": lambda x: primitives.multiply(
        bent(x, 256), conv2d(primitives.reduce_mean(bent(x), [1, 2]), 256, 1, activation_fn=tanh)
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_prediction_is_exact_where_its_assumptions_hold(name: str) -> None:
    """Within 6 %; the draws themselves differ by about 1 %."""
    factor, _ = ratio(EXACT[name], MAP)
    assert factor == pytest.approx(1, abs=0.06)


# Sums of rectified values are no normal ones, which activations and maxima take them for.
ROUGH: dict[str, Network] = {
    "max_pool2d of a concat": lambda x: max_pool2d(
        primitives.concat([bent(x, 128), conv2d(x, 128, 1)]), 3
    ),
    "relu of a norm of relu": lambda x: relu(layer_norm(bent(x))),
    "relu of a residual": lambda x: relu(
        primitives.add(bent(x, 256), conv2d(bent(x, 256), 256, 1, **PLAIN))
    ),
    "softmax of a few classes": lambda x: softmax(
        fully_connected(
            flatten(x), 10, weights_initializer=truncated_normal_initializer(0.0, 0.05), **PLAIN
        )
    ),
}


@pytest.mark.parametrize("name", ROUGH)
def test_prediction_is_rough_where_its_assumptions_do_not_hold(name: str) -> None:
    factor, _ = ratio(ROUGH[name], MAP)
    assert factor == pytest.approx(1, abs=0.25)


VIDEOS: dict[str, Network] = {
    "conv3d": lambda x: conv3d(x, 128, 3, stride=[2, 1, 1], **PLAIN),
    "conv3d that passes on": lambda x: conv3d(
        conv3d(x, 64, 3), 128, [3, 1, 1], weights_initializer=center_initializer(), **PLAIN
    ),
    "conv3d that passes on the inside": lambda x: conv3d(
        conv3d(x, 64, 3),
        64,
        [3, 1, 2],
        stride=[2, 1, 1],
        padding="VALID",
        weights_initializer=center_initializer(),
        **PLAIN,
    ),
    "max_pool3d": lambda x: max_pool3d(conv3d(x, 128, 3, **BIASED), [1, 3, 3]),
    "avg_pool3d": lambda x: avg_pool3d(conv3d(x, 128, 3, **BIASED), [5, 2, 2]),
}


@pytest.mark.parametrize("name", VIDEOS)
def test_prediction_is_exact_for_videos(name: str) -> None:
    factor, _ = ratio(VIDEOS[name], VIDEO)
    assert factor == pytest.approx(1, abs=0.06)


def test_edges_of_small_maps_grow_quieter_from_layer_to_layer() -> None:
    """Ten convolutions keep 29 % of the mean square; by the mean coverage, they would keep 14 %."""

    def network(x: Tensor) -> Tensor:
        for _ in range(10):
            x = conv2d(
                x, 128, 3, weights_initializer=random_normal_initializer(0, 1152**-0.5), **PLAIN
            )
        return x

    factor, signal = ratio(network, (7, 7, 128), draws=4)
    assert factor == pytest.approx(1, abs=0.05)
    assert signal.gain == pytest.approx(0.29**0.5, abs=0.01)


def test_dropout_raises_the_square_only_in_training() -> None:
    def network(is_training: bool) -> Network:
        return lambda x: dropout(conv2d(x, 8, 3, **PLAIN), 0.25, is_training=is_training)

    still, dropping = (
        predict_signal(build_graph(network(is_training), MAP)) for is_training in (False, True)
    )
    assert dropping.gain == pytest.approx(2 * (still.gain or 0))


def test_bias_add_by_itself() -> None:
    graph = build_graph(lambda x: bias_add(x, initializer=constant_initializer(2.0)), MAP)
    (_, layer) = predict_signal(graph).layers
    assert (layer.mean, layer.std, layer.rms) == pytest.approx((2.0, 1.0, 5**0.5))
