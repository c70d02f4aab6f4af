"""`model-zoo`: what its reports print, where they take a spec from, and what they refuse."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from model_zoo import BuildSpec, trace
from model_zoo.cli import main

SPEC = {
    "architecture": "lenet",
    "scopes": [{"ops": ["conv2d"], "args": {"activation_fn": "relu6"}}],
}
INLINE = json.dumps(SPEC)

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command."""

    def run_(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run_


def test_an_explanation_is_filtered_and_comes_in_three_formats(run: Run) -> None:
    filters = ("--layer", "LeNet/conv1", "--argument", "activation_fn")
    status, text, _ = run("explain", INLINE, *filters)
    assert (status, text.splitlines()[1].split("  [")[0]) == (0, "    activation_fn = relu6")
    _, table, _ = run("explain", INLINE, *filters, "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(table))
    assert (row["layer"], row["value"], row["kind"]) == ("LeNet/conv1", '"relu6"', "scope")
    _, document, _ = run("explain", INLINE, *filters, "--format", "json")
    (call,) = json.loads(document)["calls"]
    assert [(a["name"], a["value"]) for a in call["arguments"]] == [("activation_fn", "relu6")]
    _, table, _ = run("explain", INLINE, "--op", "*pool2d", "--format", "csv")
    assert {row["op"] for row in csv.DictReader(io.StringIO(table))} == {"max_pool2d"}


def test_a_build_is_printed_as_code_of_either_style(run: Run) -> None:
    for options, style in (((), "python"), (("--style", "tf-slim"), "tf-slim")):
        code = trace(BuildSpec.read(SPEC)).code(style)
        assert run("code", INLINE, *options) == (0, code, "")


def test_code_that_tf_slim_cannot_express_is_refused_by_its_place(run: Run) -> None:
    scopes = [{"ops": ["conv2d"], "args": {"activation_fn": "elu"}, "force": True}]
    spec = json.dumps({"architecture": "lenet", "scopes": scopes})
    assert run("code", spec, "--style", "tf-slim") == (
        1,
        "",
        "model-zoo: /scopes/0/force: TF-Slim cannot force a scope: what the network passes to a "
        "call beats it.\n",
    )


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (
            ("--layer", "LeNet/conv3"),
            "layer does not accept 'LeNet/conv3'. Did you mean 'LeNet/conv2' or 'LeNet/conv1' or "
            "'LeNet/fc3'?",
        ),
        (
            ("--op", "max_pool2d", "--argument", "*_fn"),
            "argument '*_fn' fits no argument of op 'max_pool2d'. Valid: 'inputs', 'kernel_size', "
            "'padding', 'scope', 'stride'.",
        ),
    ],
)
def test_a_filter_that_matches_nothing_is_refused(
    run: Run, filters: tuple[str, ...], message: str
) -> None:
    assert run("explain", INLINE, *filters) == (1, "", f"model-zoo: {message}\n")


def test_a_spec_comes_from_a_file_from_standard_input_or_from_the_command_itself(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = run("summary", f" {INLINE}")
    assert written[0] == 0
    file = tmp_path / "spec.json"
    file.write_text(INLINE)
    assert run("summary", str(file)) == written
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(INLINE.encode())))
    assert run("summary", "-") == written
    monkeypatch.chdir(tmp_path)
    file.rename(tmp_path / "{spec}.json")
    assert run("summary", "./{spec}.json") == written


@pytest.mark.parametrize(
    "arguments",
    [
        ("summary",),
        ("explain",),
        ("code",),
        ("predict", "picture.jpg"),
        ("weights", "plan"),
        ("weights", "export", "out.npz"),
    ],
    ids=" ".join,
)
def test_every_command_that_takes_a_spec_takes_it_as_json(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Each reads it, and says that the number of classes is wrong."""
    monkeypatch.chdir(tmp_path)
    words = 2 if arguments[0] == "weights" else 1
    spec = '{"architecture": "lenet", "params": {"num_classes": -1}}'
    status, out, error = run(*arguments[:words], spec, *arguments[words:])
    assert (status, out) == (1, "")
    assert error.startswith("model-zoo: /params/num_classes: ")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            '{"architecture": "lenet"',
            "The JSON is malformed at line 1, column 25: Expecting ',' delimiter.",
        ),
        (
            "lenett",
            "lenett is neither an architecture, nor a readable file (No such file or directory), "
            "nor JSON (which begins with a brace). Did you mean 'lenet' or 'alexnet_v2'?",
        ),
        ("", "A spec is JSON, a path or an architecture; the path is empty."),
    ],
)
def test_what_is_no_spec_is_refused(run: Run, spec: str, message: str) -> None:
    assert run("summary", spec) == (1, "", f"model-zoo: {message}\n")
