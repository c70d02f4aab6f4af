"""What functions and maxima make of normal values: closed forms, and samples."""

import math

import numpy as np
import pytest
from sampling import sampled

from model_zoo.activations import gelu_with, leaky_relu_with
from model_zoo.graph import build_graph
from model_zoo.predicted_signal.functions import FUNCTIONS, find_function
from model_zoo.predicted_signal.normal_values import Normal, maximum_of, pass_through
from model_zoo.values import makers

ACTIVATIONS = [
    *(maker() for maker in makers("activation").values()),
    leaky_relu_with(1.5),
    gelu_with(approximate=True),
]


def test_every_activation_is_a_function_of_one_number() -> None:
    assert set(FUNCTIONS) == set(makers("activation"))


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_functions_compute_what_activations_do(activation: object) -> None:
    graph = build_graph(activation, (64,))  # type: ignore[arg-type]
    (before, after) = sampled(graph, [graph.input, graph.output], draws=1, rows=32)
    function = find_function(activation)  # type: ignore[arg-type]
    assert function is not None
    ours = [function(4 * value) for value in before.ravel() / 4]
    np.testing.assert_allclose(ours, after.ravel(), rtol=1e-5, atol=1e-6)
    assert all(math.isfinite(function(value)) for value in (-1e30, 0.0, 1e15))


@pytest.mark.parametrize("correlation", [0.0, 0.2, 0.5, 0.8, 0.95, 1.0])
def test_relu_has_the_moments_of_the_arc_cosine_kernels(correlation: float) -> None:
    """Cho and Saul, Kernel methods for deep learning: the kernels of degree 1 and 2."""
    angle = math.acos(correlation)
    first = (math.sin(angle) + (math.pi - angle) * correlation) / (2 * math.pi)
    second = 3 * math.sin(angle) * correlation + (math.pi - angle) * (1 + 2 * correlation**2)
    function = find_function(makers("activation")["relu"]())  # type: ignore[arg-type]
    assert function is not None
    normal = Normal(0.0, 4.0, 4.0 * correlation, 2.0 * correlation)
    passed = pass_through(function, normal, correlation**2)
    assert passed.moments.mean == pytest.approx(2 / math.sqrt(2 * math.pi), rel=1e-4)
    assert passed.moments.square == pytest.approx(2.0, rel=1e-4)
    assert passed.moments.near == pytest.approx(4 * first, rel=6e-3)
    assert passed.variation == pytest.approx(second / (2 * math.pi) * 4 - 1, abs=0.02)
    assert passed.share == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
@pytest.mark.parametrize(("mean", "variance", "near", "far"), [(0.5, 1, 0.8, 0.4), (-1, 9, 2, 0)])
def test_moments_are_those_of_samples(
    activation: object, mean: float, variance: float, near: float, far: float
) -> None:
    """Within 1.5 % of the square; the samples themselves are within 0.5 %."""
    function = find_function(activation)  # type: ignore[arg-type]
    assert function is not None
    shared, first, close, other = np.random.default_rng(0).normal(size=(4, 40_000))

    def values(noise: object, covariance: float) -> np.ndarray:
        ends = mean + covariance**0.5 * shared + (variance - covariance) ** 0.5 * noise
        return np.array([function(value) for value in ends])

    moments = pass_through(function, Normal(mean, variance, near, far), 0.5).moments
    a, b = values(first, near), values(close, near)
    c, d = values(first, far), values(other, far)
    expected = (a.mean(), (a * a).mean(), (a * b).mean(), (c * d).mean())
    assert moments == pytest.approx(expected, abs=0.015 * max(moments.square, 0.1) + 0.01)


def test_values_without_variance_are_the_function_of_their_mean() -> None:
    passed = pass_through(math.tanh, Normal(0.5, 0.0, 0.0, 0.0), 0.5)
    assert passed.moments == pytest.approx((math.tanh(0.5), *(math.tanh(0.5) ** 2,) * 3), rel=1e-9)


def test_function_that_is_zero_passes_nothing_on() -> None:
    assert pass_through(lambda _: 0.0, Normal(0.0, 1.0, 0.5, 0.5), 0.5)[1:] == (0.0, 0.0)


@pytest.mark.parametrize("count", [1, 2, 4, 9, 49])
def test_maximum_is_that_of_samples(count: int) -> None:
    largest = np.random.default_rng(0).normal(size=(100_000, count)).max(axis=1)
    assert maximum_of(count) == pytest.approx((largest.mean(), largest.var()), abs=0.01)
