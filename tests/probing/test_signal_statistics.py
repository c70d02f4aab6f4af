"""Statistics of a tensor, compared with NumPy's on all of it at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_zoo.graph import Node
from model_zoo.probing.statistics import bounds_of, rms, statistics
from model_zoo.spec import BuildSpec
from model_zoo.tracing import trace

SHAPES = ((3, 4, 5, 6), (2, 7), (1, 2, 3, 4, 5), (4, 1, 1, 2))


def tensor(shape: tuple[int, ...], mean: float = 0.0, scale: float = 1.0) -> NDArray[np.float32]:
    values = np.random.RandomState(0).normal(mean, scale, shape)
    return values.astype(np.float32)


@given(
    st.sampled_from(SHAPES),
    st.sampled_from((0.0, -3.0, 1000.0)),
    st.sampled_from((1.0, 1e-12, 1e18)),
)
def test_statistics_are_those_of_all_values_together(
    shape: tuple[int, ...], mean: float, scale: float
) -> None:
    values = tensor(shape, mean * scale, scale)
    exact = values.astype(np.float64)
    found = statistics(values)
    axes = tuple(range(values.ndim - 1))
    channel_means = exact.mean(axis=axes)
    assert found.mean == pytest.approx(exact.mean(), rel=1e-9, abs=1e-12 * scale)
    assert found.std == pytest.approx(exact.std(), rel=1e-9)
    assert found.rms == pytest.approx(np.sqrt((exact**2).mean()), rel=1e-9)
    assert (found.low, found.high) == (exact.min(), exact.max())
    assert found.channel_squared_mean == pytest.approx((channel_means**2).mean(), rel=1e-9)
    assert found.channel_variance == pytest.approx(exact.var(axis=axes, ddof=1).mean(), rel=1e-9)
    assert (found.zero_fraction, found.dead_units, found.non_finite) == (0, 0, 0)
    assert rms(values) == pytest.approx(found.rms, rel=1e-9)


def test_a_constant_has_no_deviation_whatever_its_value() -> None:
    found = statistics(np.full((4, 3, 3, 2), 0.1, np.float32))
    assert (found.std, found.channel_variance) == (0, 0)
    assert found.rms == pytest.approx(0.1)


def test_a_unit_is_dead_only_if_it_is_zero_on_all_rows_and_positions() -> None:
    values = np.zeros((2, 2, 2, 4), np.float32)
    values[1, 1, 0, 2] = 1
    values[..., 3] = -1
    found = statistics(values)
    assert found.zero_fraction == pytest.approx((16 + 7) / 32)
    assert found.dead_units == 0.5


def test_of_one_value_a_channel_no_variance_is_estimated() -> None:
    assert statistics(np.ones((1, 3), np.float32)).channel_variance is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_counted_and_leave_the_rest_undefined(bad: float) -> None:
    values = np.zeros((2, 3, 4), np.float32)
    values[1, 2, 0:3] = bad
    found = statistics(values)
    assert found.non_finite == 3
    assert (found.mean, found.std, found.rms, found.low, found.high) == (None,) * 5
    assert (found.channel_squared_mean, found.channel_variance) == (None, None)
    assert found.zero_fraction == pytest.approx(21 / 24)
    assert found.dead_units == 0.25
    assert rms(values) is None


def bounded(name: str) -> Node:
    """The activation of a layer."""
    levels = [{"ops": ["conv2d"], "args": {"activation_fn": name}}]
    traced = trace(BuildSpec.read({"architecture": "lenet", "scopes": levels}))
    return next(node for node in traced.graph.nodes if node.op == "activation")


@pytest.mark.parametrize(
    ("name", "inside", "beyond"),
    [
        ("relu6", [0.0, 0.05, 5.9], [5.95, 6.0]),
        ("sigmoid", [0.011, 0.5, 0.989], [0.0, 0.009, 0.991, 1.0]),
        ("hard_sigmoid", [0.011, 0.989], [0.0, 1.0]),
        ("tanh", [-0.97, 0.0, 0.97], [-1.0, -0.99, 0.99, 1.0]),
        ("softsign", [-0.97, 0.97], [-0.99, 0.99]),
    ],
)
def test_saturated_is_what_is_within_a_hundredth_of_the_range_to_a_bound(
    name: str, inside: list[float], beyond: list[float]
) -> None:
    values = np.array([*inside, *beyond], np.float32).reshape(1, -1)
    found = statistics(values, bounds_of(bounded(name)))
    assert found.saturated == pytest.approx(len(beyond) / values.size)


@pytest.mark.parametrize("name", ["relu", "elu", "swish"])
def test_what_has_no_bounds_has_no_saturated_share(name: str) -> None:
    assert bounds_of(bounded(name)) is None
    assert statistics(np.ones((1, 2), np.float32), None).saturated is None
