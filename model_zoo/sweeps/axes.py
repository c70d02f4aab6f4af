"""The axes of a sweep, as a request writes them.

An axis is a list of values, or an object that says how to find them: `values`, steps (`start`,
`stop`, `step`, as Python's range, fractions too), draws (`min` and `max`, or `mu` and `sigma`, with
the distributions of W&B sweeps), a `glob` over the architectures, or a `zip` of several axes.

The values of an axis are functions of the document alone, each found by its number: nothing is
listed before it is known to be affordable, and a sweep that goes on needs none of those before.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from statistics import NormalDist
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, JsonValue, ValidationError

from model_zoo.errors import Problem, SpecError, json_pointer, unknown_name
from model_zoo.format_problems import format_problems
from model_zoo.patterns import fits
from model_zoo.plain_values import spell
from model_zoo.weight_sources import Part, Pattern
from model_zoo.zoo import list_architectures

# A product of two of them is a float still.
Number = Annotated[int | float, Field(ge=-1e150, le=1e150)]


class Axis(Protocol):
    """The values of one place, or of several that move together."""

    @property
    def count(self) -> int | None:
        """How many values there are; None where each is drawn, and any number may be."""

    def value(self, number: int, chance: float) -> JsonValue:
        """Return the value of a number; `chance`, in [0, 1), decides where it is drawn."""

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the axis as a request writes it."""


class _Written(Part):
    """An axis whose fields say all of it."""

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the axis as a request writes it, without what it leaves out."""
        return self.model_dump(by_alias=True, exclude_none=True)


class Values(Part):
    """Values, one after the other."""

    values: Annotated[list[JsonValue], Field(min_length=1)]

    def to_dict(self) -> dict[str, JsonValue]:
        return {"values": self.values}

    @property
    def count(self) -> int:
        return len(self.values)

    def value(self, number: int, chance: float) -> JsonValue:
        return self.values[number]


class Steps(_Written):
    """The numbers from `start` up to `stop`, which is left out, as Python's range has them."""

    start: Number = 0
    stop: Number
    step: Number = 1

    def problems(self) -> list[Problem]:
        if self.step == 0:
            return [Problem("step must not be 0.", "/step", self.step)]
        if self.count < 1:
            rule = f"There is no number from {self.start} to before {self.stop} in steps of "
            return [Problem(f"{rule}{self.step}.", "/stop", self.stop)]
        return []

    @property
    def count(self) -> int:
        start, stop, step = map(_exact, (self.start, self.stop, self.step))
        return max(0, math.ceil((stop - start) / step))

    def value(self, number: int, chance: float) -> JsonValue:
        # In decimals: three steps of 0.1 make 0.3.
        value = _exact(self.start) + number * _exact(self.step)
        whole = isinstance(self.start, int) and isinstance(self.step, int)
        return int(value) if whole else float(value)


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


class Draws(_Written):
    """Numbers drawn from a distribution, by the seed of the sweep and the name of the axis.

    By default it is `int_uniform` between integers, else `uniform`; `q` rounds to its multiples.
    """

    distribution: Distribution | None = None
    min: Number | None = None
    max: Number | None = None
    mu: Number | None = None
    sigma: Number | None = None
    q: Number | None = None
    draws: Annotated[int, Field(ge=1)] | None = Field(
        default=None, alias="count", description="How many are drawn for a grid."
    )

    @property
    def name(self) -> Distribution:
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
            return [Problem("int_uniform takes integers.", "/min", low)]
        return []

    @property
    def _all(self) -> Callable[[int], JsonValue] | None:
        """The value of each number, where there are only so many and a grid has all of them."""
        if self.draws is not None:
            return None
        if self.name == "int_uniform":
            return lambda number: int(self.min or 0) + number
        if self.name == "q_uniform":
            return lambda number: self._rounded(float(self.min or 0) + number * float(self.q or 1))
        return None

    @property
    def count(self) -> int | None:
        if self._all is None:
            return self.draws
        return math.floor((_exact(self.max or 0) - _exact(self.min or 0)) / _exact(self.q or 1)) + 1

    def value(self, number: int, chance: float) -> JsonValue:
        return self.drawn(chance) if self._all is None else self._all(number)

    def drawn(self, chance: float) -> JsonValue:
        """Return the value at a quantile of the distribution."""
        low, high = self.min or 0, self.max or 0
        if self.name == "int_uniform":
            return int(low) + math.floor(chance * (int(high) - int(low) + 1))
        if self._is_normal:
            # inv_cdf has no value at 0.
            value = (self.mu or 0) + (self.sigma or 0) * NormalDist().inv_cdf(chance or 2.0**-53)
        elif "log_" in self.name:
            value = math.exp(math.log(low) + chance * (math.log(high) - math.log(low)))
        else:
            value = low + chance * (high - low)
        if self.name in ("log_normal", "q_log_normal"):
            value = math.exp(min(value, 700))
        return float(value) if self.q is None else self._rounded(value)

    def _rounded(self, value: float) -> JsonValue:
        step = _exact(self.q or 1)
        rounded = round(Decimal(value) / step) * step
        return int(rounded) if isinstance(self.q, int) else float(rounded)


class Glob(Part):
    """The architectures whose names a pattern fits, in the order of the catalogue."""

    glob: Pattern | Annotated[list[Pattern], Field(min_length=1, max_length=32)]
    exclude: Pattern | Annotated[list[Pattern], Field(max_length=32)] = Field(default=[])

    def values(self) -> Values:
        """Return the names.

        Raises: SpecError for a pattern that fits none, and if none is left.
        """
        names = list_architectures()
        problems: list[Problem] = []
        fitting: dict[str, set[str]] = {"glob": set(), "exclude": set()}
        for key in fitting:
            patterns = getattr(self, key)
            for pattern in [patterns] if isinstance(patterns, str) else patterns:
                matched = {name for name in names if fits(name, pattern)}
                fitting[key] |= matched
                if not matched:
                    rule = f"{pattern!r} fits no architecture."
                    problems.append(unknown_name(json_pointer(key), rule, pattern, names))
        left = [name for name in names if name in fitting["glob"] - fitting["exclude"]]
        if not left and not problems:
            rule = "The patterns of exclude leave no architecture out of those that glob fits."
            problems.append(Problem(rule.replace("no architecture out", "none"), "/exclude"))
        if problems:
            raise SpecError(*problems)
        return Values(values=list[JsonValue](left))


@dataclass(frozen=True, slots=True)
class Dimension:
    """An axis under its name, or several that move together: what varies as one."""

    name: str
    axes: Mapping[str, Axis]  # by the place in the spec

    @property
    def count(self) -> int | None:
        """How many values it has; None where any number may be drawn."""
        return next(iter(self.axes.values())).count

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the dimension as a request writes it."""
        if self.name in self.axes:
            return self.axes[self.name].to_dict()
        return {"zip": {place: axis.to_dict() for place, axis in self.axes.items()}}

    def at(self, number: int, seed: int) -> dict[str, JsonValue]:
        """Return the values of a number, by place."""
        chance = _chance(seed, self.name, number)
        return {place: axis.value(number, chance) for place, axis in self.axes.items()}

    def drawn(self, row: int, seed: int) -> dict[str, JsonValue]:
        """Return the values of a row of a random sweep, by place."""
        chance = _chance(seed, self.name, row)
        first = next(iter(self.axes.values()))
        if isinstance(first, Draws):
            return {place: first.drawn(chance) for place in self.axes}
        number = math.floor(chance * (first.count or 1))
        return {place: axis.value(number, chance) for place, axis in self.axes.items()}


def _chance(seed: int, name: str, number: int) -> float:
    """Return a number in [0, 1) that depends on these alone, in every release of Python."""
    return random.Random(f"{seed}:{name}:{number}").random()


_KINDS: Mapping[str, type[Part]] = {
    "values": Values,
    "stop": Steps,
    "min": Draws,
    "distribution": Draws,
    "glob": Glob,
}


def read_dimension(name: str, data: object) -> Dimension:
    """Return a member of `axes`; its name is a place in the spec, or that of a zip group.

    Raises: SpecError, with pointers into the member.
    """
    if isinstance(data, Mapping) and "zip" in data:
        return _zipped(name, data)
    if not name.startswith("/"):
        rule = (
            f"{name!r} is neither a JSON pointer, which begins with a slash, nor the name of a "
            f'group, which is {{"zip": {{...}}}}.'
        )
        raise SpecError(Problem(rule, "", data, f"/{name.replace('.', '/')}"))
    return Dimension(name, {name: _read_axis(name, data)})


def _zipped(name: str, data: Mapping[str, Any]) -> Dimension:
    members = data["zip"]
    if name.startswith("/"):
        rule = f"A group of axes has a name of its own; received the place {name!r}."
        raise SpecError(Problem(rule, "", data))
    if len(data) > 1 or not isinstance(members, Mapping) or len(members) < 2:
        rule = 'A group is {"zip": {...}}: an object of two axes or more, and nothing else.'
        raise SpecError(Problem(rule, "", data))
    axes: dict[str, Axis] = {}
    for place, member in members.items():
        where = json_pointer("zip", place)
        if not place.startswith("/"):
            raise SpecError(Problem(f"{place!r} is no JSON pointer: it lacks a slash.", where))
        try:
            axis = _read_axis(place, member)
        except SpecError as error:
            error.move_to(where)
            raise
        if isinstance(axis, Draws):
            raise SpecError(Problem("A group takes values and steps, and no draws.", where, member))
        axes[place] = axis
    counts = {place: axis.count for place, axis in axes.items()}
    if len(set(counts.values())) > 1:
        lengths = ", ".join(f"{place} has {count}" for place, count in counts.items())
        rule = f"The axes of the group {name!r} must have the same number of values: {lengths}."
        raise SpecError(Problem(rule, "/zip", counts))
    return Dimension(name, axes)


def _read_axis(place: str, data: object) -> Axis:
    if isinstance(data, list):
        data = {"values": data}
    kind = next((key for key in _KINDS if isinstance(data, Mapping) and key in data), None)
    if kind is None or not isinstance(data, Mapping):
        rule = (
            "An axis is a list of values, or an object with values, stop (and start, step), "
            f"min and max, distribution, glob or zip; received {spell(data)}."
        )
        raise SpecError(Problem(rule, "", data))
    if data.get("distribution") in ("log_uniform", "q_log_uniform", "inv_log_uniform"):
        rule = "log_uniform takes exponents in W&B sweeps; give the values themselves."
        raise SpecError(Problem(rule, "/distribution", data["distribution"], "log_uniform_values"))
    model = _KINDS[kind]
    try:
        axis = model.model_validate(dict(data))
    except ValidationError as error:
        raise SpecError(*format_problems(error, model)) from error
    if isinstance(axis, Glob):
        if place != "/architecture":
            rule = "glob finds architectures, so its place is /architecture."
            raise SpecError(Problem(rule, "/glob", data))
        return axis.values()
    if isinstance(axis, (Steps, Draws)) and (problems := axis.problems()):
        raise SpecError(*problems)
    assert isinstance(axis, (Values, Steps, Draws))
    return axis


def _exact(number: int | float) -> Decimal:
    return Decimal(repr(number))
