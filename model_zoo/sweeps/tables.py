"""The rows of a sweep as a table: columns, and CSV."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from model_zoo.sweeps.conditions import TOTALS
from model_zoo.sweeps.rows import RowProblem, SweepRowDocument
from model_zoo.tables import csv_table


def sweep_columns(places: Sequence[str], *, front: bool = False) -> tuple[str, ...]:
    """Return the names of the columns; `places` are what the sweep's axes set."""
    last = ("problem", "warnings", "duplicate_of", *(("front",) if front else ()))
    return ("index", "build", "status", *places, *TOTALS, *last)


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
        *((row["front"],) if "front" in row else ()),
    ]


def sweep_csv(rows: Iterable[SweepRowDocument], places: Sequence[str]) -> str:
    """Return rows as CSV with a header; refused rows are in it."""
    rows = list(rows)
    header = sweep_columns(places, front=bool(rows) and "front" in rows[0])
    return csv_table(header, (cells(row, places) for row in rows))


def problem_text(problem: RowProblem) -> str:
    """Return the problem of a row in one line."""
    where = " ".join(filter(None, (problem["pointer"], problem["layer"])))
    more = f" (and {problem['more']} more)" if problem["more"] else ""
    return f"{where}: {problem['message']}{more}" if where else f"{problem['message']}{more}"


def _cell(value: Any) -> object:
    """Return a value of an axis: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
