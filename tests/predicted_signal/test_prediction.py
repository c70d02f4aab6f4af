"""The predicted signal of whole networks: its layers, its honesty, and how far off it is."""

from typing import Any

import numpy as np
import pytest
from sampling import Network, sampled_rms

import model_zoo
from model_zoo import Tensor, end_point
from model_zoo.activations import Activation, relu
from model_zoo.graph import build_graph, current_graph
from model_zoo.layers import batch_norm, conv2d, flatten, fully_connected, softmax
from model_zoo.predicted_signal.prediction import PredictedSignal, predict_signal, scores
from model_zoo.primitives import local_response_normalization
from model_zoo.values import (
    Initializer,
    constant_initializer,
    ones_initializer,
    random_normal_initializer,
    zeros_initializer,
)
from model_zoo.weights.random import random_value

PLAIN: dict[str, Any] = {"activation_fn": None, "biases_initializer": None}


def predicted(network: Network, shape: tuple[int, ...] = (8, 8, 3)) -> PredictedSignal:
    return predict_signal(build_graph(network, shape))


def trace(architecture: str, **wire: Any) -> model_zoo.Trace:
    return model_zoo.trace(model_zoo.BuildSpec.read({"architecture": architecture, **wire}))


def test_layers_are_the_rows_of_the_summary() -> None:
    traced = trace("lenet")
    signal = traced.predicted_signal()
    assert signal is traced.predicted_signal()
    rows = [(row.name, row.op) for row in traced.summary().rows]
    assert [(layer.name, layer.op) for layer in signal.layers] == rows
    start, first, *_ = signal.layers
    assert start.to_dict() == {
        "name": "input",
        "op": "input",
        "mean": 0.0,
        "std": 1.0,
        "rms": 1.0,
        "gain": None,
        "spread": 1.0,
    }
    # 25 weights of stddev 0.1, truncated; edges lose 2.4 of 28 in each dimension; relu halves.
    assert first.rms == pytest.approx((25 * 0.00774 * (1 - 2.4 / 28 / 2) ** 2 / 2) ** 0.5, rel=0.02)
    assert first.gain == first.rms
    assert first.mean == pytest.approx(first.std * 0.682, rel=0.02) if first.std else False


def test_gain_of_a_layer_is_over_all_that_its_call_reads() -> None:
    """With a normalizer, a layer's last node reads what another row tells of."""

    def network(x: Tensor) -> Tensor:
        x = conv2d(x, 64, 1, weights_initializer=random_normal_initializer(0, 4.0), **PLAIN)
        return conv2d(x, 64, 1, normalizer_fn=batch_norm, normalizer_params={"is_training": False})

    _, first, second, norm = predicted(network).layers
    assert (second.op, norm.op) == ("conv2d", "batch_norm")
    assert first.rms is not None
    assert second.rms is not None
    assert second.gain == pytest.approx(second.rms / first.rms)
    assert norm.gain == pytest.approx(1 / 1.001**0.5)


def test_document_of_a_build() -> None:
    document = trace("mobilenet_v1_025").predicted_signal().to_dict()
    assert document["predicted_gain"] == pytest.approx(4e-16, rel=0.5)
    assert document["reason"] is None
    assert (document["spread"] or 0) > 2
    assert document["layers"][-1]["op"] == "softmax"
    training = trace("mobilenet_v1_025", is_training=True).predicted_signal().to_dict()
    assert training["predicted_gain"] == pytest.approx(0.516, rel=0.02)
    assert training["spread"] == pytest.approx(1.02, abs=0.01)


def test_every_architecture_is_predicted_in_both_modes() -> None:
    for name in model_zoo.list_architectures():
        for is_training in (False, True):
            signal = trace(name, is_training=is_training).predicted_signal()
            assert signal.reason is None
            assert signal.gain is not None
            assert 0 < signal.gain < 1e15


def test_gain_is_that_of_the_scores_and_not_of_probabilities() -> None:
    def network(x: Tensor) -> Tensor:
        return softmax(fully_connected(flatten(x), 100, **PLAIN))

    signal = predicted(network)
    assert scores(signal.graph).name.endswith("MatMul")
    assert signal.gain == signal.layers[-2].rms
    assert signal.layers[-1].mean == 0.01


@pytest.mark.parametrize(("depth", "width"), [(30, 48), (10, 32)])
def test_median_and_spread_of_narrow_networks_are_those_of_draws(depth: int, width: int) -> None:
    """The mean over networks is far above their median: a few loud ones make it."""

    def network(x: Tensor) -> Tensor:
        for _ in range(depth):
            x = fully_connected(
                x, width, weights_initializer=random_normal_initializer(0, (2 / width) ** 0.5)
            )
        return x

    graph = build_graph(network, (width,))
    logarithms = np.log(sampled_rms(graph, graph.output, draws=300) + 1e-30)
    signal = predict_signal(graph)
    assert signal.gain == pytest.approx(np.exp(np.median(logarithms)), rel=0.2)
    assert np.log(signal.spread) == pytest.approx(
        np.diff(np.quantile(logarithms, [0.1587, 0.8413]))[0] / 2, rel=0.2
    )
    assert np.exp(2 * logarithms).mean() ** 0.5 > 1.15 * signal.gain


def test_signal_of_zeros_is_zero() -> None:
    signal = predicted(lambda x: relu(conv2d(conv2d(x, 4, 3, **ZEROS), 4, 3)))
    assert (signal.gain, signal.reason) == (0.0, None)
    assert [layer.gain for layer in signal.layers] == [None, 0.0, None, None]


ZEROS: dict[str, Any] = {"weights_initializer": zeros_initializer()}


def unknown_op(x: Tensor) -> Tensor:
    return current_graph().emit("median_filter", (x,), x.shape)


UNPREDICTABLE: dict[str, tuple[Network, str]] = {
    "weights with a mean": (
        lambda x: conv2d(x, 4, 3, weights_initializer=ones_initializer(), scope="one"),
        "one: the mean of one/weights is not 0, so that the channels it makes are not independent: "
        "its initializer is ones_initializer.",
    ),
    "an unknown initializer": (
        lambda x: conv2d(x, 4, 3, weights_initializer=Initializer("orthogonal"), scope="one"),
        "one: the variance of one/weights is not known: its initializer is orthogonal.",
    ),
    "an unknown activation": (
        lambda x: conv2d(x, 4, 3, activation_fn=Activation("mish"), scope="one"),
        "one: what the activation mish computes is not known.",
    ),
    "an unknown primitive": (
        lambda x: conv2d(unknown_op(x), 4, 3),
        "median_filter: what median_filter makes of its inputs is not known.",
    ),
    "random moving variances": (
        lambda x: batch_norm(
            x,
            is_training=False,
            param_initializers={"moving_variance": random_normal_initializer(1.0, 0.1)},
            scope="one",
        ),
        "one: one/moving_variance is not one value of at least 0: its initializer is "
        "random_normal_initializer(mean=1.0, stddev=0.1).",
    ),
    "a signal beyond float32": (
        lambda x: conv2d(
            conv2d(x, 4, 3, weights_initializer=random_normal_initializer(0.0, 1e20), scope="one"),
            4,
            3,
            weights_initializer=random_normal_initializer(0.0, 1e20),
            scope="two",
        ),
        "two: the signal is too large for float32.",
    ),
    "a stddev beyond its square": (
        lambda x: conv2d(
            x, 4, 3, weights_initializer=random_normal_initializer(0.0, 1e200), scope="one"
        ),
        "one: the signal is too large for float32.",
    ),
    "shared weights": (
        lambda x: conv2d(conv2d(x, 3, 3, scope="one"), 3, 3, scope="one", reuse=True),
        "one: it shares one/weights with a layer before, so that what the two make is not "
        "independent.",
    ),
    "a normalization by 0": (
        lambda x: local_response_normalization(
            conv2d(x, 4, 3, weights_initializer=zeros_initializer(), biases_initializer=None),
            depth_radius=1,
            bias=0.0,
            alpha=1.0,
            beta=0.5,
        ),
        "LRN: it divides by 0.",
    ),
    "probabilities in which few classes win": (
        lambda x: fully_connected(
            softmax(
                fully_connected(
                    flatten(x), 10, weights_initializer=random_normal_initializer(0.0, 1.0)
                ),
                scope="one",
            ),
            10,
        ),
        "one: of its 10 classes few win, and others with each draw.",
    ),
}


@pytest.mark.parametrize("what", UNPREDICTABLE)
def test_what_cannot_be_predicted_is_null_with_the_first_reason_and_its_place(what: str) -> None:
    network, reason = UNPREDICTABLE[what]
    signal = predicted(lambda x: fully_connected(network(x), 4, scope="after"))
    assert (signal.gain, signal.spread, signal.reason) == (None, None, reason)
    assert signal.layers[0].rms == 1.0
    last = signal.layers[-1]
    assert (last.name, last.mean, last.std, last.rms, last.gain, last.spread) == (
        "after",
        *(None,) * 5,
    )


def test_side_branch_that_cannot_be_predicted_leaves_the_gain() -> None:
    def network(x: Tensor) -> Tensor:
        end_point("side", unknown_op(x))
        return conv2d(x, 4, 3)

    signal = predicted(network)
    assert signal.reason is None
    assert signal.gain is not None
    assert [layer.rms is None for layer in signal.layers] == [False, True, False]


def test_restored_weights_are_not_predicted() -> None:
    source = {"source": "checkpoint", "id": "0" * 64, "exclude": ["LeNet/conv1/*"]}
    signal = trace("lenet", weights=[{"source": "random"}, source]).predicted_signal()
    assert signal.gain is None
    assert signal.reason == (
        "LeNet/conv2: /weights/1 restores LeNet/conv2/weights from a checkpoint, so that its "
        "values are not those of its initializer."
    )
    assert [layer.rms is not None for layer in signal.layers][:5] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_restored_head_is_told_by_its_pointer() -> None:
    source = {"source": "build", "id": "0" * 32, "include": ["LeNet/fc4/*"]}
    signal = trace("lenet", weights=source).predicted_signal()
    assert signal.reason == (
        "LeNet/fc4: /weights restores LeNet/fc4/weights from a build, so that its values are not "
        "those of its initializer."
    )


def test_biases_count() -> None:
    biased = predicted(lambda x: conv2d(x, 4, 3, biases_initializer=constant_initializer(9.0)))
    assert biased.gain == pytest.approx(9.0, rel=0.05)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("name", "wire", "is_training"),
    [
        ("mobilenet_v1_025", {"input_shape": [96, 96, 3]}, False),
        ("mobilenet_v1_025", {"input_shape": [96, 96, 3]}, True),
        ("resnet_v2_50", {"input_shape": [65, 65, 3]}, False),
        ("inception_v1", {"input_shape": [96, 96, 3], "params": {"global_pool": True}}, False),
    ],
)
def test_gain_is_within_the_spread_that_it_tells(
    name: str, wire: dict[str, Any], is_training: bool
) -> None:
    """The mean of five draws is within twice the spread of one; in training mode, within 3 %."""
    from model_zoo.lowering import Model

    traced = trace(name, is_training=is_training, **wire)
    graph, signal = traced.graph, traced.predicted_signal()
    noise = np.random.default_rng(0).normal(size=(4, *graph.input.shape[1:])).astype(np.float32)
    logarithms = []
    model = Model(graph)
    scores_model = model.keras_model_to({"scores": scores(graph)})
    for seed in range(5):
        model.assign({variable.name: random_value(seed, variable) for variable in graph.variables})
        values = np.asarray(scores_model(noise, training=False)["scores"], np.float64)
        logarithms.append(np.log(np.sqrt((values * values).mean())))
    assert signal.gain is not None
    assert signal.spread is not None
    difference = abs(np.log(signal.gain) - np.mean(logarithms))
    assert difference < 2 * max(np.log(signal.spread), 0.015)
