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
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Protocol

from pydantic import Field, JsonValue, ValidationError, model_validator

from model_zoo.errors import Problem, SpecError, json_pointer, unknown_name
from model_zoo.format_problems import format_problems
from model_zoo.patterns import fits
from model_zoo.plain_values import spell
from model_zoo.sweeps.draws import Draws
from model_zoo.sweeps.steps import Steps
from model_zoo.weight_sources import Part, Pattern
from model_zoo.zoo import list_architectures

# Each place of a sweep is compared with every other.
_MAX_MEMBERS = 32


class Axis(Protocol):
    """The values of one place, or of several that move together."""

    @property
    def count(self) -> int | None:
        """How many values there are; None where each is drawn, and any number may be."""

    def problems(self) -> list[Problem]:
        """Return what no sweep can have."""

    def value(self, number: int, chance: Callable[[], float]) -> JsonValue:
        """Return the value of a number; where it is drawn, `chance()`, in [0, 1), decides."""

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the axis as a request writes it."""


class Values(Part):
    """Values, one after the other."""

    values: Annotated[list[JsonValue], Field(min_length=1)]

    def to_dict(self) -> dict[str, JsonValue]:
        return {"values": self.values}

    @property
    def count(self) -> int:
        return len(self.values)

    def problems(self) -> list[Problem]:
        return []

    def value(self, number: int, chance: Callable[[], float]) -> JsonValue:
        return self.values[number]


_Patterns = Annotated[list[Pattern], Field(max_length=32)]


class Glob(Part):
    """The architectures whose names a pattern fits, in the order of the catalogue."""

    glob: Annotated[_Patterns, Field(min_length=1)]
    exclude: _Patterns = Field(default=[])

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, data: dict[str, Any]) -> dict[str, Any]:
        # One pattern is a list of one.
        return {key: [each] if isinstance(each, str) else each for key, each in data.items()}

    def values(self) -> Values:
        """Return the names.

        Raises: SpecError for a pattern that fits none, and if none is left.
        """
        names = list_architectures()
        problems: list[Problem] = []
        fitting: dict[str, set[str]] = {"glob": set(), "exclude": set()}
        for key in fitting:
            patterns = getattr(self, key)
            for index, pattern in enumerate(patterns):
                matched = {name for name in names if fits(name, pattern)}
                fitting[key] |= matched
                if not matched:
                    rule = f"{pattern!r} fits no architecture."
                    where = json_pointer(key, index) if len(patterns) > 1 else json_pointer(key)
                    problems.append(unknown_name(where, rule, pattern, names))
        left = [name for name in names if name in fitting["glob"] - fitting["exclude"]]
        if not left and not problems:
            rule = "exclude leaves none of the architectures that glob fits."
            problems.append(Problem(rule, "/exclude", self.exclude))
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
        chance = partial(_chance, seed, self.name, number)
        return {place: axis.value(number, chance) for place, axis in self.axes.items()}

    def drawn(self, row: int, seed: int) -> dict[str, JsonValue]:
        """Return the values of a row of a random sweep, by place."""
        chance = _chance(seed, self.name, row)
        first = next(iter(self.axes.values()))
        if isinstance(first, Draws):
            return {place: first.drawn(chance) for place in self.axes}
        return self.at(math.floor(chance * (first.count or 1)), seed)


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
        pointer = f"/{name.replace('.', '/')}" if name else None
        raise SpecError(Problem(rule, "", data, pointer))
    return Dimension(name, {name: _read_axis(name, data)})


def _zipped(name: str, data: Mapping[str, Any]) -> Dimension:
    members = data["zip"]
    if name.startswith("/") or not name:
        rule = f"A group of axes has a name of its own; received {name!r}."
        raise SpecError(Problem(rule, "", data))
    if len(data) > 1 or not isinstance(members, Mapping) or not 2 <= len(members) <= _MAX_MEMBERS:
        rule = (
            f'A group is {{"zip": {{...}}}}: an object of 2 to {_MAX_MEMBERS} axes, and nothing '
            "else."
        )
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
        try:
            return _read_axis(place, {"values": data})
        except SpecError as error:
            raise SpecError(
                *(replace(p, pointer=p.pointer.removeprefix("/values")) for p in error.problems)
            ) from error
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
            raise SpecError(Problem(rule, "/glob", data["glob"]))
        return axis.values()
    assert isinstance(axis, (Values, Steps, Draws))
    if problems := axis.problems():
        raise SpecError(*problems)
    return axis
