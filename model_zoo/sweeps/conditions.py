"""Conditions on the figures of a row: `parameters < 5000000`."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from model_zoo.errors import Problem, SpecError, unknown_name
from model_zoo.sweeps.figures import PREDICTED, TOTALS
from model_zoo.sweeps.rows import RowOutcome

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
    """A total or the predicted gain, a comparison and a number."""

    name: str
    comparison: str
    number: int | float

    def __str__(self) -> str:
        return f"{self.name} {self.comparison} {self.number}"

    def holds(self, outcome: RowOutcome) -> bool:
        """Return whether a traced row meets it; a gain that cannot be predicted meets none."""
        figures: Mapping[str, Any] = {**(outcome.totals or {}), **(outcome.predicted or {})}
        figure = figures[self.name]
        return figure is not None and _OPERATORS[self.comparison](figure, self.number)


def read_condition(text: str, columns: Sequence[str]) -> Condition:
    """Return the condition that a text says; `columns` are those that the sweep has besides totals.

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
    if name in PREDICTED and name not in columns:
        rule = f'Rows have {name} where the sweep asks for it: "columns": ["{name}"].'
        raise SpecError(Problem(rule, "", text))
    if name not in (*TOTALS, *columns):
        rule = f"There is no total {name!r}."
        raise SpecError(unknown_name("", rule, name, (*TOTALS, *columns)))
    # Exactly: totals are integers, and a float has no more than 53 bits of one.
    value = Fraction(number.replace("_", ""))
    if value.denominator != 1:
        value = Fraction(float(value))
    if value >= _LIMIT:
        raise SpecError(
            Problem(f"The number of a condition is below 1e30; received {text!r}.", "", text)
        )
    return Condition(name, comparison, int(value) if value.denominator == 1 else float(value))
