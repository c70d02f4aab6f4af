"""The rows of a sweep as a table: columns, and CSV."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from model_zoo.sweeps.figures import MEASURED, PREDICTED, TOTALS, figures
from model_zoo.sweeps.rows import RowProblem, SweepRowDocument
from model_zoo.tables import csv_table


def sweep_columns(places: Sequence[str], rows: Sequence[SweepRowDocument] = ()) -> tuple[str, ...]:
    """Return the names of the columns; `places` are what the sweep's axes set.

    Rows with a predicted gain, with measured figures, or with the front have columns for these.
    """
    predicted = (*PREDICTED, "unpredictable") if any("predicted" in row for row in rows) else ()
    measured = (*MEASURED, "verdicts", "failure") if any("measured" in row for row in rows) else ()
    front = ("front",) if any("front" in row for row in rows) else ()
    last = ("problem", "warnings", "duplicate_of", *predicted, *measured, *front)
    return ("index", "build", "status", *places, *TOTALS, *last)


def cells(row: SweepRowDocument, columns: Sequence[str]) -> list[object]:
    """Return the cells of a row; None is an empty one, which differs from a null of an axis."""
    spelt = {place: value_text(value) for place, value in row["values"].items()}
    by_name = {**spelt, **plain_columns(row)}
    return [by_name.get(column) for column in columns]


def plain_columns(row: SweepRowDocument) -> dict[str, Any]:
    """Return what a row has for the columns that are no places, by their names."""
    return {
        **row,
        **figures(row),
        "verdicts": "; ".join(row.get("measured", {}).get("verdicts", ())) or None,
        "problem": None if row["problem"] is None else problem_text(row["problem"]),
    }


def sweep_csv(rows: Iterable[SweepRowDocument], places: Sequence[str]) -> str:
    """Return rows as CSV with a header; refused rows are in it."""
    rows = list(rows)
    columns = sweep_columns(places, rows)
    return csv_table(columns, (cells(row, columns) for row in rows))


def problem_text(problem: RowProblem) -> str:
    """Return the problem of a row in one line."""
    where = " ".join(filter(None, (problem["pointer"], problem["layer"])))
    more = f" (and {problem['more']} more)" if problem["more"] else ""
    return f"{where}: {problem['message']}{more}" if where else f"{problem['message']}{more}"


def value_text(value: Any) -> str:
    """Return a value of an axis: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
