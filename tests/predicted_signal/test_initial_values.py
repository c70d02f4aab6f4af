"""Mean and variance of each initializer, against the values that are drawn."""

from typing import Any

import pytest

from model_zoo import values
from model_zoo.graph import Variable
from model_zoo.predicted_signal.initial_values import MOMENTS, initial_moments
from model_zoo.weights.random import random_value

SHAPE = (3, 3, 96, 320)
INITIALIZERS: list[Any] = [
    values.zeros_initializer(),
    values.ones_initializer(),
    values.constant_initializer(0.25),
    values.truncated_normal_initializer(0.5, 0.1),
    values.random_normal_initializer(-1.0, 2.0),
    values.random_uniform_initializer(-1.0, 3.0),
    values.xavier_initializer(),
    values.xavier_initializer(uniform=False),
    values.variance_scaling_initializer(),
    values.variance_scaling_initializer(3.0, "FAN_OUT"),
    values.variance_scaling_initializer(0.5, "FAN_AVG", uniform=True),
]


def test_every_initializer_has_moments_but_that_of_places() -> None:
    assert {*MOMENTS, "center_initializer"} == set(values.makers("initializer"))
    assert {each.name for each in INITIALIZERS} == set(MOMENTS)
    assert initial_moments(values.center_initializer(), SHAPE) is None


@pytest.mark.parametrize("initializer", INITIALIZERS, ids=repr)
def test_moments_are_those_of_drawn_values(initializer: Any) -> None:
    """Within 1 %, four times what the variance of a quarter of a million values varies by."""
    drawn = random_value(0, Variable("weights", SHAPE, initializer, None, True)).astype("float64")
    moments = initial_moments(initializer, SHAPE)
    assert moments is not None
    mean, variance = moments
    assert variance == pytest.approx(drawn.var(), rel=0.01, abs=1e-12)
    assert mean == pytest.approx(drawn.mean(), abs=0.01 * max(variance**0.5, 1e-5))
