"""Axes of numbers in equal steps."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Annotated

from pydantic import BeforeValidator, Field, JsonValue
from pydantic_core import PydanticCustomError

from model_zoo.errors import Problem
from model_zoo.weight_sources import Part


def _number(value: object) -> object:
    # A union would say what is wrong once for each of its members.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise PydanticCustomError("number_type", "no number")
    return value


# A product of two of them is a float still.
Number = Annotated[int | float, Field(ge=-1e150, le=1e150), BeforeValidator(_number)]
# Beyond it, floats skip integers, and draws some of the values.
MAX_VALUES = 2**53
TOO_MANY = f"An axis has at most {MAX_VALUES} values (2**53), and this one would have more."


class WrittenAxis(Part):
    """An axis whose fields say all of it."""

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the axis as a request writes it, without what it leaves out."""
        return self.model_dump(by_alias=True, exclude_none=True)


class Steps(WrittenAxis):
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
        return [Problem(TOO_MANY, "/step", self.step)] if self.count > MAX_VALUES else []

    @property
    def count(self) -> int:
        start, stop, step = map(exact, (self.start, self.stop, self.step))
        return max(0, math.ceil((stop - start) / step))

    def value(self, number: int, chance: Callable[[], float]) -> JsonValue:
        value = exact(self.start) + number * exact(self.step)
        whole = isinstance(self.start, int) and isinstance(self.step, int)
        return int(value) if whole else float(value)


def exact(number: int | float) -> Fraction:
    """Return a number as it is written: three steps of 0.1 make 0.3."""
    return Fraction(repr(number))
