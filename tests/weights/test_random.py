"""Random values: determinism, the distributions of TF-Slim's initializers, pinned values."""

import hashlib
import math
from typing import Any

import numpy as np
import pytest

from model_zoo import values
from model_zoo.errors import WeightsError
from model_zoo.graph import Variable
from model_zoo.values import Initializer, fans
from model_zoo.weights.random import RULES, random_value

CONV = (3, 3, 40, 60)


def variable(
    initializer: Any, shape: tuple[int, ...] = CONV, name: str = "Net/Conv/weights"
) -> Variable:
    return Variable(name, shape, initializer, None, True)


def digest(value: np.ndarray) -> str:
    return hashlib.sha256(value.astype("<f4").tobytes()).hexdigest()[:12]


EXAMPLES = {
    "zeros_initializer": values.zeros_initializer(),
    "ones_initializer": values.ones_initializer(),
    "center_initializer": values.center_initializer(),
    "constant_initializer": values.constant_initializer(0.25),
    "truncated_normal_initializer": values.truncated_normal_initializer(0.5, 0.1),
    "random_normal_initializer": values.random_normal_initializer(-1.0, 2.0),
    "random_uniform_initializer": values.random_uniform_initializer(-1.0, 3.0),
    "xavier_initializer": values.xavier_initializer(),
    "variance_scaling_initializer": values.variance_scaling_initializer(),
}


def test_every_registered_initializer_has_a_rule_and_an_example() -> None:
    assert set(RULES) == set(values.makers("initializer")) == set(EXAMPLES)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_values_are_float32_of_the_shape_and_repeat(name: str) -> None:
    for shape in (CONV, (7,), (), (0, 4), (4, 0)):
        first = random_value(3, variable(EXAMPLES[name], shape))
        assert (first.dtype, first.shape) == (np.dtype("float32"), shape)
        np.testing.assert_array_equal(first, random_value(3, variable(EXAMPLES[name], shape)))


def test_pinned_values() -> None:
    """A change here changes every network's random weights: say so in the changelog."""
    drawn = {
        name: digest(random_value(7, variable(EXAMPLES[name], (5, 5, 3, 4)))) for name in EXAMPLES
    }
    assert drawn == PINNED


PINNED = {
    "center_initializer": "4140a752b4c2",
    "zeros_initializer": "655a3ef0465a",
    "ones_initializer": "9daebe2966c6",
    "constant_initializer": "971253403b9c",
    "truncated_normal_initializer": "6af23cdb6881",
    "random_normal_initializer": "a58750fb692e",
    "random_uniform_initializer": "a4b3fe741250",
    "xavier_initializer": "e98e12c8887e",
    "variance_scaling_initializer": "308b57ef7dd9",
}


def test_first_values_are_pinned_in_the_clear() -> None:
    normal = random_value(0, variable(values.truncated_normal_initializer(), (3,), "w"))
    uniform = random_value(0, variable(values.random_uniform_initializer(), (3,), "w"))
    np.testing.assert_allclose(normal, [-1.1905689, 0.2240827, 1.8431588], rtol=1e-6)
    np.testing.assert_allclose(uniform, [0.48186535, 0.60850644, 0.54178977], rtol=1e-6)


@pytest.mark.parametrize(
    "other",
    [
        (8, variable(values.xavier_initializer())),
        (7, variable(values.xavier_initializer(), name="Net/Conv_1/weights")),
        (7, variable(values.xavier_initializer(), (3, 3, 60, 40))),
        (7, variable(values.variance_scaling_initializer(1.0, "FAN_AVG", True))),
        (7, variable(values.xavier_initializer(uniform=False))),
    ],
    ids=["seed", "name", "shape", "initializer", "argument"],
)
def test_seed_name_shape_and_initializer_each_change_the_values(
    other: tuple[int, Variable],
) -> None:
    first = random_value(7, variable(values.xavier_initializer()))
    assert not np.array_equal(first.ravel(), random_value(*other).ravel())


def test_trainable_and_regularizer_do_not_change_the_values() -> None:
    initializer = values.xavier_initializer()
    frozen = Variable("Net/Conv/weights", CONV, initializer, values.l2_regularizer(0.1), False)
    np.testing.assert_array_equal(random_value(7, variable(initializer)), random_value(7, frozen))


def test_truncated_normal_stays_within_two_deviations() -> None:
    drawn = random_value(1, variable(values.truncated_normal_initializer(0.5, 0.1), (200_000,)))
    assert np.abs(drawn - 0.5).max() <= 0.2 + 1e-6
    assert drawn.mean() == pytest.approx(0.5, abs=1e-3)
    # The deviation of a normal variable truncated at two: 0.87963 of the whole one's.
    assert drawn.std() == pytest.approx(0.087963, rel=5e-3)


def test_random_normal_is_not_truncated() -> None:
    drawn = random_value(1, variable(values.random_normal_initializer(-1.0, 2.0), (200_000,)))
    assert np.abs(drawn + 1).max() > 6
    assert drawn.mean() == pytest.approx(-1.0, abs=0.02)
    assert drawn.std() == pytest.approx(2.0, rel=1e-2)


def test_random_uniform_fills_the_half_open_interval() -> None:
    drawn = random_value(1, variable(values.random_uniform_initializer(-1.0, 3.0), (200_001,)))
    assert -1 <= drawn.min() < -0.999
    assert 2.999 < drawn.max() < 3
    assert drawn.mean() == pytest.approx(1.0, abs=0.02)


def test_rounding_never_reaches_the_upper_bound_of_a_uniform_value() -> None:
    """Near 2**24 a float32 steps by 1 or 2, so half of the sums would round up to the bound."""
    low = 2.0**24 - 1
    drawn = random_value(1, variable(values.random_uniform_initializer(low, low + 1), (1000,)))
    assert set(drawn.tolist()) == {low}


def test_uniform_values_are_those_of_the_generator() -> None:
    """The bits are taken as `Generator.random` takes them, so either may compute them."""
    drawn = random_value(0, variable(values.random_uniform_initializer(), (5,), "w"))
    text = '[0,"w",[5],"random_uniform_initializer",{"maxval":1.0,"minval":0.0}]'
    key = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
    generator = np.random.Generator(np.random.Philox(key=key))
    np.testing.assert_array_equal(drawn, generator.random(5, dtype=np.float32))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((), (1, 1)),
        ((9,), (9, 9)),
        ((6, 8), (6, 8)),
        ((5, 6, 8), (30, 40)),
        ((3, 3, 6, 8), (54, 72)),
        ((3, 3, 6, 1), (54, 9)),
    ],
)
def test_fans(shape: tuple[int, ...], expected: tuple[int, int]) -> None:
    assert fans(shape) == expected


@pytest.mark.parametrize("mode", ["FAN_IN", "FAN_OUT", "FAN_AVG"])
@pytest.mark.parametrize("uniform", [False, True])
def test_variance_scaling(mode: Any, uniform: bool) -> None:
    n = {"FAN_IN": 9 * 40, "FAN_OUT": 9 * 60, "FAN_AVG": 9 * 50}[mode]
    drawn = random_value(1, variable(values.variance_scaling_initializer(3.0, mode, uniform)))
    assert drawn.std() == pytest.approx(math.sqrt(3.0 / n), rel=2e-2)
    limit = math.sqrt(3 * 3.0 / n) if uniform else 2 * math.sqrt(1.3 * 3.0 / n)
    assert np.abs(drawn).max() == pytest.approx(limit, rel=2e-3)
    assert np.abs(drawn).max() <= limit * (1 + 1e-6)


@pytest.mark.parametrize("uniform", [False, True])
def test_xavier_is_variance_scaling_by_the_mean_of_the_fans(uniform: bool) -> None:
    drawn = random_value(1, variable(values.xavier_initializer(uniform)))
    assert drawn.std() == pytest.approx(math.sqrt(1 / 450), rel=2e-2)


def test_unknown_initializer_is_refused() -> None:
    with pytest.raises(WeightsError) as refused:
        random_value(0, variable(Initializer("xavier_init")))
    assert str(refused.value) == (
        "Variable Net/Conv/weights has no known initializer: 'xavier_init'. "
        "Did you mean 'xavier_initializer'?"
    )
