"""Conditions on the totals of a row: `parameters < 5000000`."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from model_zoo.errors import Problem, SpecError, unknown_name
from model_zoo.reports.summary import Totals
from model_zoo.sweeps.figures import TOTALS

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_CONDITION = re.compile(
    rf"\s*([A-Za-z_]+)\s*({'|'.join(_OPERATORS)})\s*([0-9][0-9_]{{0,30}}(?:\.[0-9]{{0,30}})?(?:[eE][+-]?[0-9]{{1,3}})?)\s*"
)
# No network's total comes near; every number below it can be written and read again.
_LIMIT = 10**30


@dataclass(frozen=True, slots=True)
class Condition:
    """A total, a comparison and a number."""

    name: str
    comparison: str
    number: int | float

    def __str__(self) -> str:
        return f"{self.name} {self.comparison} {self.number}"

    def holds(self, totals: Totals) -> bool:
        """Return whether a row's totals meet it."""
        figures: Mapping[str, int] = totals  # type: ignore[assignment]  # all of them are integers
        return _OPERATORS[self.comparison](figures[self.name], self.number)


def read_condition(text: str) -> Condition:
    """Return the condition that a text says.

    Raises: SpecError.
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        rule = (
            f"A condition is a total, a comparison ({', '.join(_OPERATORS)}) and a number, such as "
            f"'parameters < 5000000'; received {text!r}."
        )
        raise SpecError(Problem(rule, "", text))
    name, comparison, number = match.groups()
    if name not in TOTALS:
        raise SpecError(unknown_name("", f"There is no total {name!r}.", name, TOTALS))
    # Exactly: totals are integers, and a float has no more than 53 bits of one.
    value = Fraction(number.replace("_", ""))
    if value.denominator != 1:
        value = Fraction(float(value))
    if value >= _LIMIT:
        raise SpecError(
            Problem(f"The number of a condition is below 1e30; received {text!r}.", "", text)
        )
    return Condition(name, comparison, int(value) if value.denominator == 1 else float(value))
