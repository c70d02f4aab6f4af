"""The spaces of a sweep: a base spec and dimensions, in which each row has its place."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from model_zoo.errors import Problem, SpecError, json_pointer, unknown_name
from model_zoo.spec import BuildSpec
from model_zoo.sweeps.axes import Dimension, Values, read_dimension
from model_zoo.sweeps.draws import Draws
from model_zoo.sweeps.places import split_pointer, with_value
from model_zoo.sweeps.scopes import ScopePinner

_FIELDS = tuple(field.alias or name for name, field in BuildSpec.model_fields.items())


@dataclass(frozen=True, slots=True)
class Space:
    """A base spec and dimensions. Rows are numbered from 0; the last dimension varies fastest.

    `draws` is the number of rows of a random sweep, None for a grid.
    """

    base: Mapping[str, Any]
    dimensions: tuple[Dimension, ...]
    seed: int
    draws: int | None

    @property
    def places(self) -> dict[str, tuple[str, ...]]:
        """The places that rows set, by pointer, as keys."""
        return {
            place: split_pointer(place) for dimension in self.dimensions for place in dimension.axes
        }

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of values of each dimension of a grid; of draws, the number of rows."""
        if self.draws is not None:
            return (self.draws,)
        return tuple(dimension.count or 1 for dimension in self.dimensions)

    @property
    def rows(self) -> int:
        return math.prod(self.counts)

    def values(self, row: int) -> dict[str, JsonValue]:
        """Return what a row sets, by place."""
        values: dict[str, JsonValue] = {}
        if self.draws is not None:
            for dimension in self.dimensions:
                values |= dimension.drawn(row, self.seed)
            return values
        digits: list[int] = []
        for count in reversed(self.counts):
            row, digit = divmod(row, count)
            digits.append(digit)
        for dimension, digit in zip(self.dimensions, reversed(digits), strict=True):
            values |= dimension.at(digit, self.seed)
        return values

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the axes as a request writes them."""
        return {dimension.name: dimension.to_dict() for dimension in self.dimensions}

    def ordered_axes(self) -> list[Any]:
        """Return the axes as pairs, whose order is part of what they mean: that of the rows."""
        return [
            (dimension.name, [(place, axis.to_dict()) for place, axis in dimension.axes.items()])
            for dimension in self.dimensions
        ]

    def spec(self, values: Mapping[str, JsonValue]) -> dict[str, Any]:
        """Return the base with values in their places."""
        spec: Any = self.base
        for place, value in values.items():
            spec = with_value(spec, split_pointer(place), value)
        return dict(spec)


def read_space(
    spec: Mapping[str, Any],
    axes: Mapping[str, JsonValue],
    where: str,
    pinner: ScopePinner,
    seed: int,
    draws: int | None,
) -> Space:
    """Return the space of a base spec and axes; `where` is the pointer of the axes.

    Raises: SpecError with a problem for each mistake.
    """
    dimensions: list[Dimension] = []
    problems: list[Problem] = []
    for name, data in axes.items():
        try:
            dimension = read_dimension(name, data)
            for place in dimension.axes:
                _check_place(spec, place, "" if place == name else json_pointer("zip", place))
            if draws is None and dimension.count is None:
                rule = (
                    "A grid takes so many draws as count says; give one, or values or steps, or "
                    'the method "random".'
                )
                raise SpecError(Problem(rule, "/count"))
            first = next(iter(dimension.axes.values()))
            if draws is not None and isinstance(first, Draws) and first.draws is not None:
                rule = "A random sweep draws once for each row, of which run_cap says the number."
                raise SpecError(Problem(rule, "/count", first.draws))
            dimensions.append(_pinned(dimension, pinner))
        except SpecError as error:
            error.move_to(where + json_pointer(name))
            problems += error.problems
    problems += _overlaps([place for each in dimensions for place in each.axes], where)
    named = any(place == "/architecture" for each in dimensions for place in each.axes)
    if not problems and "architecture" not in spec and not named:
        problems.append(Problem("Neither the spec nor an axis names an architecture.", where))
    if problems:
        raise SpecError(*problems)
    return Space(spec, tuple(dimensions), seed, draws)


def _check_place(spec: Mapping[str, Any], pointer: str, where: str) -> None:
    """Raises: SpecError at `where` if no spec, or not this one, can have a value at a place."""
    try:
        place = split_pointer(pointer)
        if place[0] not in _FIELDS:
            rule = f"A spec has no field {place[0]!r}."
            raise SpecError(unknown_name("", rule, place[0], _FIELDS))
        with_value(spec, place, None)
    except SpecError as error:
        error.move_to(where)
        raise


def _overlaps(places: list[str], where: str) -> list[Problem]:
    """Return a problem for each place that is another one, or inside it."""
    problems: list[Problem] = []
    for index, place in enumerate(places):
        for other in places[:index]:
            inner, outer = (place, other) if len(place) >= len(other) else (other, place)
            if f"{inner}/".startswith(f"{outer}/"):
                rule = f"Two axes set {inner}."
                if inner != outer:
                    rule = f"One axis sets {outer}, and another one {inner} inside it."
                problems.append(Problem(rule, where, place))
    return problems


def _pinned(dimension: Dimension, pinner: ScopePinner) -> Dimension:
    """Return a dimension whose values name versions of saved scopes."""
    axes = {
        place: Values(values=[pinner.value(split_pointer(place), value) for value in axis.values])
        if isinstance(axis, Values)
        else axis
        for place, axis in dimension.axes.items()
    }
    return Dimension(dimension.name, axes)
