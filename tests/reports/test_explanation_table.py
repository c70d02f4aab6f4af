"""An explanation as CSV and in parts: the rows, the filters, and what they refuse."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from model_zoo import BuildSpec, OptionError, explanation_csv, filter_explanation, trace
from model_zoo.graph import build_graph, variable_scope
from model_zoo.layers import conv2d
from model_zoo.reports.explanation import Explanation, explain
from model_zoo.reports.overrides import Overrides
from model_zoo.tables import csv_table

SCOPES = [
    {"ops": ["conv2d"], "args": {"activation_fn": "relu6"}},
    {"ops": ["conv2d"], "args": {"activation_fn": {"name": "leaky_relu", "alpha": 0.1}}},
    {"ops": ["conv2d", "fully_connected"], "args": {"normalizer_fn": "batch_norm"}},
]


def explanation(**wire: Any) -> Explanation:
    return trace(BuildSpec.read({"architecture": "lenet", "scopes": SCOPES, **wire})).explanation()


def rows(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table)))


def test_a_row_is_an_argument_of_a_call() -> None:
    part = filter_explanation(explanation(), layer="LeNet/conv1", op="conv2d", argument="*_fn")
    table = explanation_csv(part)
    assert table.splitlines()[0] == "layer,op,argument,value,kind,written_at,beat"
    activation, normalizer = rows(table)
    assert list(activation.values())[:5] == [
        "LeNet/conv1",
        "conv2d",
        "activation_fn",
        '{"name": "leaky_relu", "alpha": 0.1}',
        "scope",
    ]
    assert activation["written_at"] == "/scopes/1/args/activation_fn"
    first, second = json.loads(activation["beat"])
    assert first == {
        "value": "relu6",
        "written_at": "/scopes/0/args/activation_fn",
        "level": "request",
    }
    assert (second["value"], second["level"]) == ("relu", "default_scope")
    assert (normalizer["argument"], normalizer["value"]) == ("normalizer_fn", '"batch_norm"')
    assert normalizer["beat"] == ""


def cells(document: Any) -> Iterator[dict[str, str]]:
    """Yield the rows that an explanation's document says."""
    for call in document["calls"]:
        for argument in call["arguments"]:
            yield {
                "layer": call["layer"],
                "op": call["op"],
                "argument": argument["name"],
                "value": json.dumps(argument["value"]),
                "kind": argument["kind"],
                "written_at": argument.get("written_at", ""),
                "beat": json.dumps(argument["beat"]) if "beat" in argument else "",
            }


@pytest.mark.parametrize("name", ["lenet", "inception_v3", "mobilenet_v3_small"])
def test_a_table_says_what_the_document_says(name: str) -> None:
    whole = trace(
        BuildSpec.read({"architecture": name, "params": {"num_classes": 5}})
    ).explanation()
    assert rows(explanation_csv(whole)) == list(cells(whole.to_dict()))


def test_a_layer_whose_name_is_a_formula_is_harmless_in_a_spreadsheet() -> None:
    def network(x: Any) -> Any:
        with variable_scope("=HYPERLINK(A1)"):
            return conv2d(x, 2, 1)

    graph = build_graph(network, (4, 4, 3))
    assert graph.calls[0].layer == "=HYPERLINK(A1)/Conv"
    table = rows(explanation_csv(explain(graph.calls, Overrides("own", [], graph.calls))))
    assert {row["layer"] for row in table} == {"'=HYPERLINK(A1)/Conv"}


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-A1", "-1+A1", "@A1", "\t=1", "\n=1", "＝1", "-Infinity"]
)
def test_a_cell_that_begins_like_a_formula_gets_an_apostrophe(text: str) -> None:
    assert list(csv.reader(io.StringIO(csv_table(["name"], [[text]]), newline=""))) == [
        ["name"],
        [f"'{text}"],
    ]


def test_a_line_ending_in_a_cell_does_not_begin_a_row() -> None:
    table = csv_table(["a", "b"], [["x\r=1", "y\r\n=2"]])
    assert table == 'a,b\n"x\n=1","y\n=2"\n'


@pytest.mark.parametrize(
    "cell", ["LeNet/conv1", "-0.5", "-1e-05", "/scopes/0", '"=1"', "", -3, 0.5]
)
def test_another_cell_is_left_as_it_is(cell: Any) -> None:
    assert list(csv.reader(io.StringIO(csv_table(["a", "b"], [[cell, "x"]])))) == [
        ["a", "b"],
        [str(cell), "x"],
    ]


def layers(part: Explanation) -> list[str]:
    return [call.layer for call in part.calls]


def test_a_layer_is_a_name_a_scope_or_a_pattern() -> None:
    whole = explanation()
    assert layers(filter_explanation(whole, layer="LeNet")) == layers(whole)[:-1]
    assert layers(filter_explanation(whole, layer="LeNet/conv1")) == [
        "LeNet/conv1",
        "LeNet/conv1/BatchNorm",
    ]
    assert layers(filter_explanation(whole, layer="*/BatchNorm")) == [
        f"LeNet/{name}/BatchNorm" for name in ("conv1", "conv2", "fc3", "fc4")
    ]
    assert layers(filter_explanation(whole, layer="LeNet/c*1")) == ["LeNet/conv1"]
    assert layers(filter_explanation(whole)) == layers(whole)


def test_overrides_are_filtered_by_op_and_argument_and_keep_their_counts() -> None:
    part = filter_explanation(explanation(), layer="LeNet/fc3", op="f*", argument="norm*_fn")
    assert [(o.pointer, o.op, o.reached, o.won) for o in part.overrides] == [
        ("/scopes/2/args/normalizer_fn", "fully_connected", 2, 2)
    ]
    assert [[a.name for a in call.arguments] for call in part.calls] == [["normalizer_fn"]]


@pytest.mark.parametrize(
    ("filters", "option", "message"),
    [
        (
            {"layer": "LeNet/conv3"},
            "layer",
            "layer does not accept 'LeNet/conv3'. Did you mean 'LeNet/conv2' or 'LeNet/conv1' or "
            "'LeNet/fc3'?",
        ),
        (
            {"layer": "LeNet/cnv*"},
            "layer",
            "layer 'LeNet/cnv*' fits no layer. Did you mean 'LeNet/conv2' or 'LeNet/conv1' or "
            "'LeNet/fc4'?",
        ),
        (
            {"layer": "conv1*"},
            "layer",
            "layer 'conv1*' fits no layer. Did you mean '*/conv1*'?",
        ),
        (
            {"layer": "LeNet/conv1", "op": "fully_connected"},
            "op",
            "op does not accept 'fully_connected' in layer 'LeNet/conv1'. Valid: 'batch_norm', "
            "'conv2d'.",
        ),
        (
            {"layer": "LeNet/conv*", "op": "batch_norm", "argument": "*regularizer"},
            "argument",
            "argument '*regularizer' fits no argument in layer 'LeNet/conv*' of op 'batch_norm'. "
            "Did you mean 'param_regularizers'?",
        ),
        (
            {"layer": "*a" * 150},
            "layer",
            "layer has 300 characters; a pattern has 256 at most.",
        ),
    ],
)
def test_a_filter_that_fits_nothing_is_refused(
    filters: dict[str, str], option: str, message: str
) -> None:
    with pytest.raises(OptionError) as caught:
        filter_explanation(explanation(), **filters)
    assert (caught.value.option, str(caught.value)) == (option, message)
