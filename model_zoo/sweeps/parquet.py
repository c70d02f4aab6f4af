"""The rows of a sweep as Parquet: the columns of the CSV, with types."""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from model_zoo.errors import OptionError, Problem
from model_zoo.sweeps.figures import MEASURED, PREDICTED
from model_zoo.sweeps.rows import SweepRowDocument
from model_zoo.sweeps.tables import plain_columns, sweep_columns

_INT64 = range(-(2**63), 2**63)
_EXACT = range(-(2**53), 2**53 + 1)
_MISSING = object()


def sweep_parquet(rows: Iterable[SweepRowDocument], places: Sequence[str]) -> bytes:
    """Return rows as a Parquet file.

    A place's column is of integers, floats, booleans or strings if all of its values are, and else
    of JSON. Where a row lacks a value, and where an axis has null, the cell is null; a column in
    which both occur is JSON.

    Raises: OptionError without the package pyarrow, which the extra `parquet` installs.
    """
    try:
        # Imported here: it is an extra, and takes a while.
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        rule = (
            "format does not accept 'parquet' here: it needs the package pyarrow. Install the "
            "extra: pip install 'model-zoo-service[parquet]'."
        )
        raise OptionError("format", Problem(rule, "", "parquet", "csv")) from error

    rows = list(rows)
    names = sweep_columns(places, rows)
    pairs = [(row, plain_columns(row)) for row in rows]
    typed = [_column(name, [_cell(*pair, name) for pair in pairs]) for name in names]
    arrays = [pa.array(cells, getattr(pa, kind)()) for kind, cells in typed]
    file = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, names=list(names)), file)
    return file.getvalue()


def _cell(row: SweepRowDocument, columns: Mapping[str, Any], name: str) -> Any:
    if name.startswith("/"):
        return row["values"].get(name, _MISSING)
    return columns.get(name)


# The columns that are no places and hold no integers.
_KINDS = {
    **dict.fromkeys((*PREDICTED, *MEASURED), "float64"),
    **dict.fromkeys(
        ("build", "status", "problem", "unpredictable", "verdicts", "failure"), "string"
    ),
    "front": "bool_",
}


def _column(name: str, cells: Sequence[Any]) -> tuple[str, list[Any]]:
    """Return the name of a column's type, and its cells in that type."""
    if not name.startswith("/"):
        return _KINDS.get(name, "int64"), list(cells)
    given = [cell for cell in cells if cell is not _MISSING]
    kind = _kind([cell for cell in given if cell is not None])
    if kind is None or (None in given and len(given) < len(cells)):
        return "string", [None if cell is _MISSING else json.dumps(cell) for cell in cells]
    present = [None if cell is _MISSING else cell for cell in cells]
    if kind == "float64":
        present = [None if cell is None else float(cell) for cell in present]
    return kind, present


def _kind(values: Sequence[Any]) -> str | None:
    """Return the name of the type of all values, or None if they have none in common."""
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return "bool_"
    if kinds == {int} and all(value in _INT64 for value in values):
        return "int64"
    # A float has every integer up to 2**53; larger ones stay exact as text.
    if kinds and kinds <= {int, float} and all(isinstance(v, float) or v in _EXACT for v in values):
        return "float64"
    return "string" if kinds <= {str} else None
