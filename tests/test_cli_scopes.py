"""Saved scopes of a command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model_zoo.cli import main

ELU = {"ops": ["conv2d"], "args": {"activation_fn": "elu"}}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Return a function that runs a command in a folder with files of scopes and a spec."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, document: Any) -> None:
        Path(name).write_text(json.dumps(document))

    Path("text.txt").write_text("house")
    write("house.json", {"levels": [ELU]})
    write("other.json", {"levels": [{"saved": "house"}]})
    write("spec.json", {"architecture": "lenet", "scopes": [{"include": "other"}]})
    write("old.json", {"architecture": "lenet", "scopes": [{"include": "house@sha256:00000000"}]})

    def command(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return command


def test_a_spec_may_name_the_scopes_of_the_command_line(run: Run) -> None:
    scopes = ["--scope", "house=house.json", "--scope", "other=other.json"]
    status, out, err = run("explain", "spec.json", *scopes)
    assert status == 0
    assert "\n    /scopes/0/args/activation_fn on conv2d: matched 9 layers, reached 2 calls" in out
    assert err.startswith(
        "warning: /default_scope: the saved scope 'other' replaces lenet_arg_scope"
    )


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        (
            "spec.json",
            [],
            "/scopes/0/include: Saved scopes are kept by the service, under /v1/scopes; elsewhere "
            "they are passed: BuildSpec.read(spec, scopes) in Python, --scope NAME=FILE in a "
            "terminal.",
        ),
        (
            "spec.json",
            ["--scope", "othr=house.json"],
            "/scopes/0/include: No --scope is named 'other'. Did you mean 'othr'?",
        ),
        (
            "spec.json",
            ["--scope", "other=other.json", "--scope", "house=house.json"],
            "other.json: /levels/0/saved: No --scope is named 'house'. There are none.",
        ),
        (
            "old.json",
            ["--scope", "house=house.json"],
            "/scopes/0/include: The saved scope 'house' is sha256:d4b557fda8cc74f16c933cd765b4bfce"
            "394fa96ed5ebaa9307cf4982273a0ad2 here, not sha256:00000000.",
        ),
        ("spec.json", ["--scope", "house.json"], "--scope takes NAME=FILE; received 'house.json'."),
        (
            "spec.json",
            ["--scope", "house=none.json"],
            "none.json cannot be read: No such file or directory.",
        ),
        (
            "spec.json",
            ["--scope", "house="],
            "--scope takes NAME=FILE; the path of 'house' is empty.",
        ),
        (
            "spec.json",
            ["--scope", "house=house.json", "--scope", "house=other.json"],
            "--scope names 'house' twice; a name stands for one file.",
        ),
        (
            "spec.json",
            ["--scope", "house=spec.json"],
            "spec.json: /levels: The field 'levels' is required.\n"
            "spec.json: /architecture: There is no field 'architecture'. Valid: 'left_out', "
            "'levels'.\n"
            "spec.json: /scopes: There is no field 'scopes'. Valid: 'left_out', 'levels'.",
        ),
        (
            "spec.json",
            ["--scope", "house=text.txt"],
            "text.txt: The JSON is malformed at line 1, column 1: Expecting value.",
        ),
    ],
)
def test_a_scope_that_cannot_be_used_is_told(
    run: Run, spec: str, options: list[str], message: str
) -> None:
    assert run("summary", spec, *options) == (1, "", f"model-zoo: {message}\n")


def test_a_scope_that_nothing_names_is_a_warning(run: Run) -> None:
    scopes = ["--scope", "house=house.json", "--scope", "spare=house.json"]
    warning = "warning: --scope {}: nothing names this saved scope.\n"
    for command in ("summary", "explain"):
        status, _, err = run(command, "lenet", *scopes)
        assert (status, err) == (0, warning.format("house") + warning.format("spare"))
    status, _, err = run("diff", "lenet", "spec.json", *scopes, "--scope", "other=other.json")
    assert status == 1
    assert err.count("nothing names this saved scope") == 1
    assert err.endswith(warning.format("spare"))
    _, _, err = run("summary", "spec.json", *scopes, "--scope", "other=other.json")
    assert err.startswith(warning.format("spare") + "warning: /default_scope: ")
