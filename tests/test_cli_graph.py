"""`model-zoo graph`: its formats, and options that do nothing are refused."""

import json

import pytest
from test_cli import Run, run

from model_zoo import BuildSpec, trace

__all__ = ["run"]


def test_each_format_is_that_of_the_library(run: Run) -> None:
    report = trace(BuildSpec.read({"architecture": "lenet"})).graph_report(2)
    command = ("graph", "lenet", "--depth", "2")
    assert run(*command) == (0, report.to_dot(), "")
    documents = {
        "json": report.to_dict(),
        "model-explorer": report.to_model_explorer(),
        "node-data": report.to_node_data("multiply_adds"),
    }
    for name, document in documents.items():
        assert json.loads(run(*command, "--format", name)[1]) == document
    parameters = run(*command, "--format", "node-data", "--metric", "parameters")[1]
    assert json.loads(parameters) == report.to_node_data("parameters")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--depth", "0"), "depth is at least 1; received 0."),
        (
            ("--metric", "parameters"),
            "--metric is of --format node-data; the format is dot.",
        ),
    ],
)
def test_what_does_not_fit_is_refused(run: Run, options: tuple[str, ...], message: str) -> None:
    assert run("graph", "lenet", *options) == (1, "", f"model-zoo: {message}\n")


def test_warnings_of_the_build_are_on_standard_error(run: Run) -> None:
    idle = '{"architecture": "lenet", "scopes": [{"ops": ["batch_norm"], "args": {"decay": 0.5}}]}'
    status, out, error = run("graph", idle)
    assert (status, out.splitlines()[0]) == (0, "digraph network {")
    assert error.startswith("warning: /scopes/0/args/decay: this override reached no call")
