"""Rows as Parquet: the columns of the CSV, with the types of their values."""

import io
import sys
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from refusals import CLASSES, LENET, over

from model_zoo import (
    OptionError,
    Sweep,
    arrange,
    read_objectives,
    sweep,
    sweep_columns,
    sweep_parquet,
)


def read(rows: Sweep, **arranged: Any) -> pyarrow.Table:
    documents = arrange([row.to_dict() for row in rows], rows.places, **arranged)
    return pyarrow.parquet.read_table(io.BytesIO(sweep_parquet(documents, rows.places)))


def test_columns_are_those_of_csv_with_types() -> None:
    rows = over({CLASSES: [2, 3, 2], "/is_training": [False]})
    table = read(rows)
    assert tuple(table.column_names) == sweep_columns(rows.places)
    kinds = {
        name: str(kind) for name, kind in zip(table.column_names, table.schema.types, strict=True)
    }
    assert kinds.pop("/is_training") == "bool"
    assert {name for name, kind in kinds.items() if kind == "string"} == {
        "build",
        "status",
        "problem",
    }
    assert {kind for kind in kinds.values() if kind != "string"} == {"int64"}
    first, _, last = rows
    assert table.column("parameters")[0].as_py() == first.to_dict()["totals"]["parameters"]
    assert table.column("duplicate_of").to_pylist() == [None, None, 0]
    assert table.column("build")[2].as_py() == last.build


@pytest.mark.parametrize(
    ("values", "kind", "cells"),
    [
        ([1, None], "int64", [1, None]),
        ([1, 0.5], "double", [1.0, 0.5]),
        (["a", "b"], "string", ["a", "b"]),
        ([True, False], "bool", [True, False]),
        ([True, 1], "string", ["true", "1"]),
        (["a", 1], "string", ['"a"', "1"]),
        ([[1], {"a": None}], "string", ["[1]", '{"a": null}']),
        ([2**63 + 1, 1], "string", ["9223372036854775809", "1"]),
        ([None, None], "string", [None, None]),
    ],
)
def test_place_has_the_type_that_its_values_share(
    values: list[Any], kind: str, cells: list[Any]
) -> None:
    column = read(over({"/params/other": values})).column("/params/other")
    assert (str(column.type), column.to_pylist()) == (kind, cells)


def test_null_and_not_set_are_told_apart() -> None:
    union: list[Any] = [{"axes": {CLASSES: [None, 2]}}, {}]
    column = read(sweep({"spec": LENET, "union": union})).column(CLASSES)
    assert column.to_pylist() == ["null", "2", None]
    union[0]["axes"][CLASSES] = [3, 2]
    column = read(sweep({"spec": LENET, "union": union})).column(CLASSES)
    assert column.to_pylist() == [3, 2, None]


def test_refused_rows_are_in_it_and_the_front_is_marked() -> None:
    table = read(
        over({CLASSES: ["x", 2, 3]}),
        objectives=read_objectives("pareto", "parameters:minimize,layers:minimize"),
    )
    assert table.column("status").to_pylist() == ["refused", "traced", "traced"]
    assert table.column("parameters")[0].as_py() is None
    assert table.column("problem")[0].as_py().startswith("/params/num_classes: num_classes of ")
    assert table.column("front").to_pylist() == [False, True, False]


def test_what_was_measured_is_in_columns_of_floats() -> None:
    rows = over({CLASSES: [2, 3]})
    first, second = (row.to_dict() for row in rows)
    first["measured"] = {"latency_s": 0.5, "same_top_1": None, "batch_rows": 8}
    second["measured"] = {"failure": "It ended."}
    file = io.BytesIO(sweep_parquet([first, second], rows.places))
    table = pyarrow.parquet.read_table(file)
    assert tuple(table.column_names) == sweep_columns(rows.places, [first, second])
    assert str(table.column("same_top_1").type) == "double"
    assert table.column("latency_s").to_pylist() == [0.5, None]
    assert table.column("failure").to_pylist() == [None, "It ended."]


def test_no_rows_are_a_table_too() -> None:
    table = pyarrow.parquet.read_table(io.BytesIO(sweep_parquet([], [CLASSES])))
    assert (table.num_rows, tuple(table.column_names)) == (0, sweep_columns([CLASSES]))


def test_without_pyarrow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(OptionError) as caught:
        sweep_parquet([], [])
    assert str(caught.value) == (
        "format does not accept 'parquet' here: it needs the package pyarrow. Install the extra: "
        "pip install 'model-zoo-service[parquet]'."
    )
