"""The diff of two builds as a table: one row for each difference."""

from collections.abc import Iterator, Mapping
from typing import cast

from model_zoo.reports.diff_documents import SIDES, DiffDocument, TotalDocument
from model_zoo.reports.explanation import ArgumentDocument
from model_zoo.reports.json_patch import json_text
from model_zoo.tables import csv_table

_COLUMNS = ("part", "status", "name", "op", "argument", "a", "b")
_ORIGINS = ("kind", "written_at", "beat")


def diff_csv(document: DiffDocument) -> str:
    """Return a row for each operation, total, layer, edge and setting, with a header.

    `a` and `b` are JSON, as in the diff's document: a total, a layer, the target of an edge, the
    value of an argument. A side that has none is empty, as is what does not apply to a part.
    """
    header = (*_COLUMNS, *(f"{side}_{name}" for side in SIDES for name in _ORIGINS))
    rows = _rows(document)
    return csv_table(header, ((*row, *[""] * (len(header) - len(row))) for row in rows))


def _rows(document: DiffDocument) -> Iterator[tuple[str, ...]]:
    for step in document["spec"]:
        value = json_text(step["value"]) if "value" in step else ""
        yield "spec", step["op"], step["path"], "", "", "", value
    for name, total in cast(Mapping[str, TotalDocument], document["totals"]).items():
        status = "changed" if total["difference"] else "same"
        yield "total", status, name, "", "", json_text(total["a"]), json_text(total["b"])
    for layer in document["layers"]:
        sides = [layer[side] for side in SIDES]
        row = sides[1] or sides[0]
        assert row is not None
        cells = ["" if side is None else json_text(side) for side in sides]
        yield "layer", layer["status"], row["name"], row["op"], "", *cells
    for edge in document["edges"]:
        target = json_text(edge["target"])
        cells = ["" if edge["status"] == other else target for other in ("added", "removed")]
        yield "edge", edge["status"], edge["source"], "", "", *cells
    for setting in document["settings"]:
        arguments = [setting[side] for side in SIDES]
        named = (setting["layer"], setting["op"], setting["argument"])
        values = ["" if each is None else json_text(each["value"]) for each in arguments]
        origins = [cell for each in arguments for cell in _origin(each)]
        yield "setting", setting["status"], *named, *values, *origins


def _origin(argument: ArgumentDocument | None) -> tuple[str, str, str]:
    if argument is None:
        return "", "", ""
    beat = argument.get("beat")
    return argument["kind"], argument.get("written_at", ""), json_text(beat) if beat else ""
