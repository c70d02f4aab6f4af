"""How `model-zoo sweep` writes rows: as they come, or all at the end."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any

from model_zoo.errors import ZooError
from model_zoo.sweeps.parquet import sweep_parquet
from model_zoo.sweeps.rows import SweepRowDocument
from model_zoo.sweeps.sweep import Sweep
from model_zoo.sweeps.tables import problem_text, sweep_columns, sweep_csv, value_text
from model_zoo.tables import aligned_table, csv_table

FORMATS = ("text", "csv", "json", "ndjson", "parquet")
# These have no row that depends on a later one.
STREAMED = ("csv", "ndjson")
_FIGURES = ("parameters", "multiply_adds", "peak_activation_bytes")


def opened(path: Path | None, form: str) -> AbstractContextManager[IO[Any]]:
    """Return the file that is named, or standard output.

    Raises: ZooError if it cannot be written, or a terminal would get bytes.
    """
    if path is None and form == "parquet":
        if sys.stdout.isatty():
            raise ZooError("Parquet is no text: name a file by --output, or pipe it.")
        return nullcontext(sys.stdout.buffer)
    if path is None:
        return nullcontext(sys.stdout)
    try:
        if form == "parquet":
            return path.open("wb")
        return path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise ZooError(f"{path} cannot be written: {error.strerror}.") from error


class Stream:
    """Writes each row of CSV or NDJSON as it comes."""

    def __init__(self, rows: Sweep, form: str, file: IO[str]) -> None:
        self._places = rows.places
        self._form = form
        self._file = file
        self._header = ""

    def write(self, row: SweepRowDocument) -> None:
        """Write a row."""
        if self._form == "csv":
            table = sweep_csv([row], self._places)  # all rows have the columns of the first
            self._file.write(table[len(self._header) :])
            self._header = csv_table(sweep_columns(self._places, [row]), [])
        else:
            self._file.write(json.dumps(row) + "\n")
        self._file.flush()


def write_all(rows: Sweep, documents: Sequence[SweepRowDocument], form: str, file: IO[Any]) -> None:
    """Write rows that are all there, in the order that they have."""
    writers: Mapping[str, Callable[[], str | bytes]] = {
        "text": lambda: _text(rows, documents),
        "csv": lambda: sweep_csv(documents, rows.places),
        "json": lambda: _json(rows, documents),
        "ndjson": lambda: "".join(json.dumps(row) + "\n" for row in documents),
        "parquet": lambda: sweep_parquet(documents, rows.places),
    }
    file.write(writers[form]())


def write_plan(rows: Sweep, form: str, file: IO[Any]) -> None:
    """Write what each row sets, and its spec where the format has room."""
    numbers = range(rows.rows)
    if form in ("json", "ndjson"):
        planned = (
            {"index": number, "values": rows.values(number), "spec": rows.spec(number)}
            for number in numbers
        )
        if form == "json":
            file.write(_json(rows, list(planned)))
        else:
            file.writelines(json.dumps(row) + "\n" for row in planned)
        return
    header = ("index", *rows.places)
    cells = ([str(number), *_spelt(rows.values(number), rows.places)] for number in numbers)
    if form == "csv":
        file.write(csv_table(header, cells))
    else:
        file.write("\n".join(aligned_table(header, list(cells), right=(0,))) + "\n")


def _json(rows: Sweep, documents: Sequence[Any]) -> str:
    document = {
        "id": rows.id,
        "row_count": rows.rows,
        "counted": rows.rows_in_words,
        "places": rows.places,
        "rows": documents,
    }
    return json.dumps(document, indent=2) + "\n"


def _text(rows: Sweep, documents: Sequence[SweepRowDocument]) -> str:
    """Return rows as a table, and below it why some were refused."""
    has_front = any("front" in row for row in documents)
    has_gain = any("predicted" in row for row in documents)
    header = (
        "index",
        "status",
        *rows.places,
        *(name.replace("_", " ") for name in _FIGURES),
        *(("predicted gain",) if has_gain else ()),
        "build",
        *(("front",) if has_front else ()),
    )
    cells = [
        (
            str(row["index"]),
            row["status"],
            *_spelt(row["values"], rows.places),
            *_figures(row["totals"]),
            *((_gain(row["predicted"]["predicted_gain"]),) if has_gain else ()),
            row["build"] or "",
            *(("*" if row["front"] else "",) if has_front else ()),
        )
        for row in documents
    ]
    first = 2 + len(rows.places)
    right = (0, *range(first, first + len(_FIGURES) + has_gain))
    refused = [
        f"{row['index']}: {problem_text(row['problem'])}"
        for row in documents
        if row["status"] == "refused" and row["problem"] is not None
    ]
    below = ["", "Refused:", *(f"    {line}" for line in refused)] if refused else []
    return "\n".join([*aligned_table(header, cells, right=right), *below]) + "\n"


def _gain(gain: float | None) -> str:
    return "" if gain is None else f"{gain:.2g}"


def _figures(totals: Any) -> list[str]:
    return ["" if totals is None else f"{totals[name]:,}" for name in _FIGURES]


def _spelt(values: Mapping[str, Any], places: Sequence[str]) -> list[str]:
    """Return the values of places as text, empty where a row sets none."""
    return [value_text(values[place]) if place in values else "" for place in places]
