"""A sweep may ask for the gain of each row's initialized network, told from its trace."""

from typing import Any

import pytest

from model_zoo import (
    BuildSpec,
    RowTracer,
    SpecError,
    arrange,
    read_objectives,
    sweep,
    sweep_csv,
    trace,
)

INITIALIZERS = ["xavier_initializer", {"name": "variance_scaling_initializer"}]
DOCUMENT: dict[str, Any] = {
    "spec": {
        "architecture": "mobilenet_v1_025",
        "scopes": [{"ops": ["conv2d", "separable_conv2d"], "args": {}}],
    },
    "axes": {"/scopes/0/args/weights_initializer": [*INITIALIZERS, "x"], "/is_training": [True]},
    "columns": ["predicted_gain"],
}


def test_rows_have_the_gain_that_their_traces_predict() -> None:
    rows = sweep(DOCUMENT)
    first, second, refused = rows
    for row in (first, second):
        signal = trace(BuildSpec.read(rows.spec(row.index))).predicted_signal()
        assert row.to_dict()["predicted"] == {
            "predicted_gain": signal.gain,
            "unpredictable": None,
        }
    assert refused.to_dict()["predicted"] == {"predicted_gain": None, "unpredictable": None}
    assert first.outcome.predicted != second.outcome.predicted


def test_why_a_gain_cannot_be_predicted_is_in_the_row() -> None:
    spec = {
        "architecture": "lenet",
        "weights": [{"source": "random"}, {"source": "build", "id": "0" * 32}],
    }
    (row,) = sweep({"spec": spec, "columns": ["predicted_gain"]})
    assert row.outcome.predicted is not None
    assert row.outcome.predicted["predicted_gain"] is None
    assert row.outcome.predicted["unpredictable"]


def test_a_sweep_without_the_column_has_another_id_and_no_gain() -> None:
    document = {**DOCUMENT, "columns": []}
    assert sweep(document).id != sweep(DOCUMENT).id
    assert sweep(document).id == sweep({**DOCUMENT, "columns": []}).id
    assert "predicted" not in next(iter(sweep(document))).to_dict()


def test_the_gain_is_a_condition_an_order_an_objective_and_a_column() -> None:
    rows = sweep({**DOCUMENT, "where": ["predicted_gain > 0.4"]})
    documents = [row.to_dict() for row in rows]
    assert [row["status"] for row in documents] == ["filtered", "traced", "refused"]
    ordered = arrange(documents, rows.places, sort="-predicted_gain")
    assert [row["index"] for row in ordered] == [1, 0, 2]
    objectives = read_objectives("pareto", "predicted_gain:maximize,parameters:minimize")
    marked = arrange(documents, rows.places, objectives=objectives)
    assert [row["front"] for row in marked] == [False, True, False]
    header, first, *_ = sweep_csv(documents, rows.places).splitlines()
    assert header.endswith(",duplicate_of,predicted_gain,unpredictable")
    gain = documents[0]["predicted"]["predicted_gain"]
    assert first.endswith(f",{gain},")


def test_a_condition_needs_the_column() -> None:
    with pytest.raises(SpecError) as refusal:
        sweep({**DOCUMENT, "columns": [], "where": ["predicted_gain > 0.4"]})
    assert str(refusal.value) == (
        "/where/0: Rows have predicted_gain where the sweep asks for it: "
        '"columns": ["predicted_gain"].'
    )


def test_rows_that_differ_in_an_initializer_do_not_share_a_gain() -> None:
    rows = sweep(DOCUMENT)
    tracer = RowTracer(rows.budget)
    specs = [BuildSpec.read(rows.spec(index)) for index in (0, 1)]
    outcomes = [tracer.outcome(spec, predicts=index > 0) for index, spec in enumerate(specs)]
    assert outcomes[0].predicted is None
    assert outcomes[1].predicted is not None
