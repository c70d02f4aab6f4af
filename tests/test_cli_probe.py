"""`model-zoo probe`: its formats, and its status: 0 healthy, 1 a bad verdict, 2 trouble."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli import Run, run
from zoo_server import ROOT

import model_zoo
from model_zoo import BuildSpec, trace

__all__ = ["run"]

pytestmark = pytest.mark.heavy

DEAD = json.dumps(
    {
        "architecture": "lenet",
        "scopes": [
            {
                "ops": ["conv2d"],
                "args": {"biases_initializer": {"name": "constant_initializer", "value": -1000}},
            }
        ],
    }
)
PICTURE = str(ROOT / "examples" / "picture.jpg")


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the folder of weights, which the command makes where it runs, out of the repository."""
    monkeypatch.chdir(tmp_path)


def test_the_status_is_zero_for_a_healthy_signal(run: Run) -> None:
    status, out, error = run("probe", "lenet", "--rows", "2")
    assert (status, out.splitlines()[0]) == (0, "The signal is healthy.")
    assert [line.partition(" ...")[0] for line in error.splitlines()] == [
        "loading TensorFlow",
        "probing lenet",
    ]


def test_the_status_is_one_for_a_bad_verdict(run: Run) -> None:
    status, out, _ = run("probe", DEAD, "--rows", "2", "--mode", "training")
    assert status == 1
    assert out.startswith("vanishing: LeNet/conv1: in training mode the signal vanishes: ")
    assert "\ndead: LeNet/conv1: in training mode 100.0% of the units are dead" in out
    assert "\nIn training mode (" in out
    assert "\nIn inference mode (" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("lenett",),
            "lenett is neither an architecture, nor a readable file (No such file or directory), "
            "nor JSON (which begins with a brace). Did you mean 'lenet' or 'alexnet_v2'?",
        ),
        (("lenet", "nothing.jpg"), "nothing.jpg cannot be read: No such file or directory."),
        (
            ("lenet", PICTURE, "--rows", "2"),
            "--rows counts rows of noise; each image is a row of its own.",
        ),
        (("lenet", "--rows", "0"), "rows must be an integer of at least 1; received 0."),
    ],
)
def test_the_status_is_two_for_trouble(run: Run, arguments: tuple[str, ...], message: str) -> None:
    status, out, error = run("probe", *arguments)
    assert (status, out) == (2, "")
    assert error.splitlines()[-1] == f"model-zoo: {message}"


def test_a_wrong_option_is_trouble_too(run: Run) -> None:
    with pytest.raises(SystemExit) as end:
        run("probe", "lenet", "--mode", "train")
    assert end.value.code == 2


def test_each_format_is_that_of_the_library(run: Run) -> None:
    build = trace(BuildSpec.read({"architecture": "lenet"}))
    expected = model_zoo.probe(build, rows=2, seed=5, gradients=True)
    options = ("probe", "lenet", "--rows", "2", "--seed", "5", "--gradients")
    assert run(*options)[1] == expected.to_text()
    for form in (("--format", "json"), ("--json",)):
        assert json.loads(run(*options, *form)[1]) == expected.to_dict()
    for form in (("--format", "csv"), ("--csv",)):
        assert run(*options, *form)[1] == expected.to_csv()


def test_images_are_preprocessed_as_the_network_expects(run: Run) -> None:
    status, out, _ = run("probe", "cifarnet", PICTURE, PICTURE, "--json", "--mode", "inference")
    document = json.loads(out)
    assert status == 0
    facts = (document["input"], document["preprocessing"], document["rows"])
    assert facts == ("images", "cifarnet", 2)
    first = document["modes"][0]["layers"][0]
    assert (first["name"], first["std"]) == ("input", pytest.approx(1, abs=1e-5))


def test_the_table_has_the_verdict_where_it_begins(run: Run) -> None:
    rows = csv.DictReader(io.StringIO(run("probe", DEAD, "--rows", "2", "--csv")[1]))
    assert [(row["mode"], row["name"], row["verdicts"]) for row in rows if row["verdicts"]] == [
        (mode, "LeNet/conv1", "vanishing dead") for mode in ("inference", "training")
    ]


def test_the_status_is_the_answer_even_if_nobody_reads_the_rest() -> None:
    command = [sys.executable, "-m", "model_zoo.cli", "probe", DEAD, "--rows", "1"]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(command, stdout=closed, stderr=subprocess.DEVNULL, check=False)
    assert done.returncode == 1
