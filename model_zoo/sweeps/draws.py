"""Axes of numbers drawn from a distribution, as W&B sweeps name them."""

import math
from collections.abc import Callable
from fractions import Fraction
from statistics import NormalDist
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from model_zoo.errors import Problem, json_pointer
from model_zoo.sweeps.steps import MAX_VALUES, TOO_MANY, Number, WrittenAxis, exact

Distribution = Literal[
    "uniform",
    "int_uniform",
    "q_uniform",
    "log_uniform_values",
    "q_log_uniform_values",
    "normal",
    "q_normal",
    "log_normal",
    "q_log_normal",
]


class Draws(WrittenAxis):
    """Numbers drawn from a distribution, by the seed of the sweep and the name of the axis.

    By default it is `int_uniform` between integers, else `uniform`; `q` rounds to its multiples,
    of which those between `min` and `max` are drawn alone.
    """

    distribution: Distribution | None = None
    min: Number | None = None
    max: Number | None = None
    mu: Number | None = None
    sigma: Number | None = None
    q: Number | None = None
    draws: Annotated[int, Field(ge=1, le=MAX_VALUES)] | None = Field(
        default=None, alias="count", description="How many are drawn for a grid."
    )

    @property
    def name(self) -> Distribution:
        """The distribution."""
        if self.distribution is not None:
            return self.distribution
        whole = isinstance(self.min, int) and isinstance(self.max, int)
        return "int_uniform" if whole else "uniform"

    @property
    def _is_normal(self) -> bool:
        return self.name.endswith("normal")

    def problems(self) -> list[Problem]:
        needed = {"mu", "sigma"} if self._is_normal else {"min", "max"}
        needed |= {"q"} if self.name.startswith("q_") else set()
        given = {
            name for name in ("min", "max", "mu", "sigma", "q") if getattr(self, name) is not None
        }
        problems = [
            Problem(f"{self.name} needs {name}.", json_pointer(name))
            for name in sorted(needed - given)
        ] + [
            Problem(f"{self.name} takes no {name}.", json_pointer(name), getattr(self, name))
            for name in sorted(given - needed)
        ]
        return problems or self._out_of_range()

    def _out_of_range(self) -> list[Problem]:
        low, high = self.min, self.max
        if self.q is not None and self.q <= 0:
            return [Problem("q must be above 0.", "/q", self.q)]
        if self.sigma is not None and self.sigma < 0:
            return [Problem("sigma must not be negative.", "/sigma", self.sigma)]
        if low is None or high is None:
            return []
        if low > high:
            return [Problem(f"max must be at least min, which is {low}.", "/max", high)]
        if "log_" in self.name and low <= 0:
            return [Problem(f"{self.name} takes a min above 0.", "/min", low)]
        if self.name == "int_uniform" and not (isinstance(low, int) and isinstance(high, int)):
            name, value = ("max", high) if isinstance(low, int) else ("min", low)
            return [Problem("int_uniform takes integers.", json_pointer(name), value)]
        first, last = self._multiples
        if self.q is not None and first > last:
            rule = f"There is no multiple of {self.q} from {low} to {high}."
            return [Problem(rule, "/q", self.q)]
        is_stepped = self.name in ("int_uniform", "q_uniform")
        if is_stepped and last - first >= MAX_VALUES:
            return [Problem(TOO_MANY, "/max", high)]
        return []

    @property
    def _step(self) -> Fraction:
        return exact(1 if self.q is None else self.q)

    @property
    def _multiples(self) -> tuple[int, int]:
        """The first and the last multiple of the step from `min` to `max`."""
        low, high = exact(self.min or 0), exact(self.max or 0)
        return math.ceil(low / self._step), math.floor(high / self._step)

    @property
    def _is_listed(self) -> bool:
        """Whether a grid has every value once."""
        return self.draws is None and self.name in ("int_uniform", "q_uniform")

    @property
    def count(self) -> int | None:
        if not self._is_listed:
            return self.draws
        first, last = self._multiples
        return last - first + 1

    def value(self, number: int, chance: Callable[[], float]) -> JsonValue:
        return (
            self._multiple(self._multiples[0] + number) if self._is_listed else self.drawn(chance())
        )

    def drawn(self, chance: float) -> JsonValue:
        """Return the value at a quantile of the distribution."""
        if self.name == "int_uniform":
            first, last = self._multiples
            return first + math.floor(chance * (last - first + 1))
        value = self._quantile(chance)
        if self.q is None:
            return value
        number = round(Fraction(value) / self._step)
        if not self._is_normal:
            first, last = self._multiples
            number = min(max(number, first), last)
        return self._multiple(number)

    def _quantile(self, chance: float) -> float:
        if self._is_normal:
            # inv_cdf has no value at 0.
            value = (self.mu or 0) + (self.sigma or 0) * NormalDist().inv_cdf(chance or 2.0**-53)
            is_log = self.name in ("log_normal", "q_log_normal")
            return math.exp(min(value, 700)) if is_log else float(value)
        low, high = float(self.min or 0), float(self.max or 0)
        if "log_" in self.name:
            value = math.exp(math.log(low) + chance * (math.log(high) - math.log(low)))
        else:
            value = low + chance * (high - low)
        return min(max(value, low), high)  # what rounding takes out of the range

    def _multiple(self, number: int) -> JsonValue:
        value = number * self._step
        return float(value) if isinstance(self.q, float) else int(value)
