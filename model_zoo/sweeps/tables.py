"""The rows of a sweep as a table: columns, and CSV."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from model_zoo.sweeps.conditions import TOTALS
from model_zoo.sweeps.rows import RowProblem, SweepRowDocument
from model_zoo.tables import csv_table


def sweep_columns(places: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns; `places` are what the sweep's axes set."""
    return ("index", "build", "status", *places, *TOTALS, "problem", "warnings", "duplicate_of")


def cells(row: SweepRowDocument, places: Sequence[str]) -> list[object]:
    """Return the cells of a row; None is an empty one, which differs from a null of an axis."""
    values, totals = row["values"], row["totals"]
    return [
        row["index"],
        row["build"],
        row["status"],
        *(_cell(values[place]) if place in values else None for place in places),
        *((None,) * len(TOTALS) if totals is None else totals.values()),
        None if row["problem"] is None else problem_text(row["problem"]),
        row["warnings"],
        row["duplicate_of"],
    ]


def sweep_csv(rows: Iterable[SweepRowDocument], places: Sequence[str]) -> str:
    """Return rows as CSV with a header; refused rows are in it."""
    return csv_table(sweep_columns(places), (cells(row, places) for row in rows))


def problem_text(problem: RowProblem) -> str:
    """Return the problem of a row in one line."""
    where = " ".join(filter(None, (problem["pointer"], problem["layer"])))
    more = f" (and {problem['more']} more)" if problem["more"] else ""
    return f"{where}: {problem['message']}{more}" if where else f"{problem['message']}{more}"


def _cell(value: Any) -> object:
    """Return a value of an axis: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
