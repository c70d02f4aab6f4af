"""`model-zoo diff`: its formats, and its status: 0 same, 1 different, 2 trouble."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli import Run, run

from model_zoo import BuildSpec, diff, trace

__all__ = ["run"]

ELU = '{"architecture": "lenet", "scopes": [{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}]}'


def test_the_status_is_zero_for_one_build_whatever_it_is_written_as(run: Run) -> None:
    status, out, error = run("diff", "lenet", '{"architecture": "lenet", "scopes": []}')
    assert (status, out.splitlines()[0], error) == (0, "The builds are the same.", "")


def test_the_status_is_one_for_builds_that_differ(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "elu.json"
    file.write_text(ELU)
    status, out, _ = run("diff", "lenet", str(file))
    assert (status, out.splitlines()[0]) == (1, "The builds differ.")
    assert run("diff", "lenet", "cifarnet", "--format", "json")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("lenet", '{"architecture": "lenett"}'),
            "B: /architecture: There is no architecture 'lenett'. Did you mean 'lenet' or "
            "'alexnet_v2'?",
        ),
        (
            ('{"architecture": "lenet"', "lenet"),
            "A: The JSON is malformed at line 1, column 25: Expecting ',' delimiter.",
        ),
        (("-", "-"), "Only one of A and B can be read from standard input."),
        (
            ("lenet", "lenet", "--argument", "strid"),
            "argument does not accept 'strid'. Did you mean 'stride'?",
        ),
    ],
)
def test_the_status_is_two_for_trouble(run: Run, arguments: tuple[str, ...], message: str) -> None:
    assert run("diff", *arguments) == (2, "", f"model-zoo: {message}\n")


def test_a_wrong_option_is_trouble_too(run: Run) -> None:
    with pytest.raises(SystemExit) as end:
        run("diff", "lenet")
    assert end.value.code == 2


def test_each_format_is_that_of_the_library(run: Run) -> None:
    result = diff(
        *(trace(BuildSpec.read(json.loads(s))) for s in ('{"architecture": "lenet"}', ELU))
    )
    formats = {"text": result.to_text(), "csv": result.to_csv(), "dot": result.to_dot()}
    for name, expected in formats.items():
        assert run("diff", "lenet", ELU, "--format", name)[1] == expected
    assert json.loads(run("diff", "lenet", ELU, "--format", "json")[1]) == json.loads(
        json.dumps(result.to_dict())
    )


def test_one_command_says_who_set_an_argument_of_every_layer_in_both(run: Run) -> None:
    options = ("--argument", "weights_regularizer", "--same", "--format", "csv")
    status, table, _ = run("diff", "lenet", ELU, *options)
    rows = [row for row in csv.DictReader(io.StringIO(table)) if row["part"] == "setting"]
    assert status == 1
    assert [(row["name"], row["status"]) for row in rows] == [
        (f"LeNet/{layer}", "same") for layer in ("conv1", "conv2", "fc3", "fc4")
    ]


def test_both_specs_may_name_saved_scopes(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "elu.json"
    file.write_text(json.dumps({"levels": json.loads(ELU)["scopes"]}))
    named = '{"architecture": "lenet", "scopes": [{"include": "elu"}]}'
    assert run("diff", ELU, named, "--scope", f"elu={file}")[0] == 0
    assert run("diff", named, ELU, "--scope", f"elu={file}")[0] == 0


def test_warnings_say_of_which_side_they_are(run: Run) -> None:
    idle = '{"architecture": "lenet", "scopes": [{"ops": ["batch_norm"], "args": {"decay": 0.5}}]}'
    status, _, error = run("diff", "lenet", idle)
    assert (status, error) == (
        1,
        "warning: B: /scopes/0/args/decay: this override reached no call: lenet calls no "
        "batch_norm here.\n",
    )


@pytest.mark.heavy  # processes of their own
@pytest.mark.parametrize(("b", "status"), [("nasnet_mobile", 1), ("mobilenet_v1_025", 0)])
def test_the_status_is_the_answer_even_if_nobody_reads_the_rest(b: str, status: int) -> None:
    command = [sys.executable, "-m", "model_zoo.cli", "diff", "mobilenet_v1_025", b, "--same"]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (status, b"")
