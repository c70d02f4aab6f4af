"""`model-zoo sweep`: its rows, formats and status, what it says, and how it ends."""

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from test_cli import Run, run

from model_zoo import arrange, read_objectives, sweep, sweep_csv
from model_zoo.cli import main
from model_zoo.sweeps.processes import trace_in_processes

__all__ = ["run"]

CLASSES = "/params/num_classes"
LENET: dict[str, Any] = {"architecture": "lenet"}
DOCUMENT = {"spec": LENET, "axes": {CLASSES: [2, 3, 2, "x"], "/is_training": [False, True]}}
AXES = ("params.num_classes=2,3,2,x", "/is_training=false,true")


def documents(document: Any = DOCUMENT) -> list[Any]:
    return [row.to_dict() for row in sweep(document)]


def said(error: str) -> list[str]:
    """Return the lines on standard error, with no time in them."""
    return re.sub(r"in \d+\.\d s", "in N s", error).splitlines()


PROBLEM = (
    "/params/num_classes: num_classes of lenet must be an integer of at least 0 or null; received "
    '"x".'
)


def test_rows_are_those_of_the_library_in_each_format(run: Run, tmp_path: Path) -> None:
    rows = sweep(DOCUMENT)
    status, table, error = run("sweep", "lenet", *AXES, "--format", "csv")
    assert (status, table) == (0, sweep_csv(documents(), rows.places))
    assert said(error) == [
        "8 = 4 x 2 rows",
        "8 rows in N s: 4 traced, 2 refused, 2 duplicate",
        f"problem (2 rows): {PROBLEM}",
    ]
    _, lines, _ = run("sweep", "lenet", *AXES, "--format", "ndjson")
    assert [json.loads(line) for line in lines.splitlines()] == documents()
    _, text, _ = run("sweep", "lenet", *AXES, "--format", "json")
    assert json.loads(text) == {
        "id": rows.id,
        "row_count": 8,
        "counted": "8 = 4 x 2",
        "places": [CLASSES, "/is_training"],
        "rows": documents(),
    }
    file = tmp_path / "rows.parquet"
    assert run("sweep", "lenet", *AXES, "--format", "parquet", "--output", str(file))[1] == ""
    parquet = pyarrow.parquet.read_table(file)
    assert parquet.column("build").to_pylist() == [row["build"] for row in documents()]


def test_the_table_has_what_differs_and_why_rows_were_refused(run: Run) -> None:
    status, table, _ = run("sweep", "lenet", "params.num_classes=2,x", "is_training=true")
    builds = [
        row["build"]
        for row in documents({"spec": LENET, "axes": {CLASSES: [2], "/is_training": [True]}})
    ]
    assert (status, table.splitlines()) == (
        0,
        [
            "index  status   /params/num_classes  /is_training  parameters  multiply adds  "
            "peak activation bytes  build",
            "-" * 133,
            "    0  traced   2                    true           3,266,434     13,875,712  "
            f"              200,704  {builds[0]}",
            "    1  refused  x                    true",
            "",
            "Refused:",
            f"    1: {PROBLEM}",
        ],
    )


def test_axes_may_come_from_groups_and_a_base_from_json(run: Run) -> None:
    base = {**LENET, "input_shape": [28, 28, 1]}
    arguments = ("g=zip(/input_shape/0=[28,32],/input_shape/1=[28,32])", "params.num_classes=2,3")
    _, inside, _ = run("sweep", json.dumps(base), *arguments, "--format", "csv")
    _, option, _ = run(
        "sweep", json.dumps(base), arguments[1], "--format", "csv",
        "--zip", "g", "/input_shape/0=28,32", "input_shape.1=[28,32]",
    )  # fmt: skip
    first, second = (list(csv.DictReader(io.StringIO(table))) for table in (inside, option))
    assert [(row["/input_shape/1"], row[CLASSES]) for row in first] == [
        ("28", "2"),
        ("28", "3"),
        ("32", "2"),
        ("32", "3"),
    ]
    assert [row["build"] for row in second] == [first[n]["build"] for n in (0, 2, 1, 3)]


def test_a_glob_and_conditions_choose_rows(run: Run) -> None:
    axes = ("architecture=glob([lenet,cifarnet,zz*])",)
    status, _, error = run("sweep", "lenet", *axes)
    assert status == 2
    assert error.startswith(
        "model-zoo: architecture=glob([lenet,cifarnet,zz*]): 'zz*' fits no architecture. Valid, "
    )
    axes = ("architecture=glob([lenet,cifarnet])", "--where", "parameters < 2e6")
    _, table, _ = run("sweep", "lenet", *axes, "--format", "csv")
    rows = csv.DictReader(io.StringIO(table))
    assert [(row["/architecture"], row["status"]) for row in rows] == [
        ("cifarnet", "traced"),
        ("lenet", "filtered"),
    ]


def test_draws_are_those_of_the_document(run: Run) -> None:
    axes = ("/params/num_classes=int(interval(2,50))", "/params/dropout_keep_prob=interval(0.1,1)")
    status, lines, _ = run(
        "sweep", "lenet", *axes, "--random", "5", "--seed", "3", "--format", "ndjson"
    )
    document = {
        "spec": LENET,
        "method": "random",
        "run_cap": 5,
        "seed": 3,
        "axes": {
            CLASSES: {"min": 2, "max": 49},
            "/params/dropout_keep_prob": {"min": 0.1, "max": 1.0},
        },
    }
    assert status == 0
    assert [json.loads(line) for line in lines.splitlines()] == documents(document)


def test_rows_are_sorted_and_their_front_is_marked(run: Run) -> None:
    objectives = "parameters:minimize,layers:maximize"
    options = ("--pareto", objectives, "--sort=-parameters", "--format", "csv")
    _, table, _ = run("sweep", "lenet", *AXES, *options)
    arranged = arrange(
        documents(),
        sweep(DOCUMENT).places,
        sort="-parameters",
        objectives=read_objectives("pareto", objectives),
    )
    assert table == sweep_csv(arranged, sweep(DOCUMENT).places)
    assert ",front\n" in table
    _, front, _ = run("sweep", "lenet", *AXES, *options, "--only-front")
    kept = [row for row in csv.DictReader(io.StringIO(table)) if row["front"] == "True"]
    assert list(csv.DictReader(io.StringIO(front))) == kept
    assert 0 < len(kept) < 8
    _, text, _ = run("sweep", "lenet", *AXES, "--pareto", objectives)
    assert [line.endswith("*") for line in text.splitlines()[2:10]].count(True) == len(kept)


def test_a_document_is_the_same_sweep(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "sweep.json"
    file.write_text(json.dumps(DOCUMENT))
    written = run("sweep", "lenet", *AXES, "--format", "csv")[1]
    assert run("sweep", "--document", str(file), "--format", "csv")[1] == written
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
    assert run("sweep", "--document", "-", "--format", "csv")[1] == written


def test_a_dry_run_lists_rows_and_traces_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_zoo.cli.sweep.SweepRun", None)
    options = ("sweep", "lenet", "params.num_classes=2,null,x", "--dry-run")
    assert run(*options) == (
        0,
        "index  /params/num_classes\n--------------------------\n    0  2\n    1  null\n    2  x\n",
        "3 rows\n",
    )
    assert run(*options, "--format", "csv")[1] == "index,/params/num_classes\n0,2\n1,null\n2,x\n"
    lines = run(*options, "--format", "ndjson")[1].splitlines()
    assert json.loads(lines[2]) == {
        "index": 2,
        "values": {CLASSES: "x"},
        "spec": {"architecture": "lenet", "params": {"num_classes": "x"}},
    }
    rows = json.loads(run(*options, "--format", "json")[1])["rows"]
    assert rows == [json.loads(line) for line in lines]


def test_the_status_is_one_if_every_row_was_refused(run: Run) -> None:
    assert run("sweep", "lenet", "params.num_classes=x,y")[0] == 1
    assert run("sweep", "lenet", "params.num_classes=x,2")[0] == 0


def test_fail_fast_ends_with_the_first_refused_row(run: Run) -> None:
    axes = ("params.num_classes=2,x,3", "--fail-fast", "--format", "csv")
    status, table, error = run("sweep", "lenet", *axes)
    rows = list(csv.DictReader(io.StringIO(table)))
    assert (status, [row["status"] for row in rows]) == (1, ["traced", "refused"])
    assert said(error)[1] == "2 of 3 rows in N s: 1 traced, 1 refused"
    assert run("sweep", "lenet", "params.num_classes=2,3", "--fail-fast")[0] == 0


def test_the_summary_has_the_most_frequent_sentences(run: Run) -> None:
    _, _, error = run("sweep", "lenet", "params.num_classes=a,b,c,d,e,f,g", "is_training=true")
    lines = said(error)
    assert lines[1] == "7 rows in N s: 7 refused"
    assert len([line for line in lines if line.startswith("problem (1 row")]) == 5
    assert lines[-1] == "and 2 other problems"
    level = '{"architecture": "lenet", "scopes": [{"ops": ["batch_norm"], "args": {"decay": 0.9}}]}'
    _, _, error = run("sweep", level, "params.num_classes=2,3,2")
    assert said(error)[1:] == [
        "3 rows in N s: 2 traced, 1 duplicate",
        "warning (2 rows): /scopes/0/args/decay: this override reached no call: lenet calls no "
        "batch_norm here.",
    ]


def test_saved_scopes_are_passed_as_files(run: Run, tmp_path: Path) -> None:
    for name, activation in (("house", "elu"), ("unused", "tanh")):
        level = {"ops": ["conv2d"], "args": {"activation_fn": activation}}
        (tmp_path / f"{name}.json").write_text(json.dumps({"levels": [level]}))
    scopes = [
        part
        for name in ("house", "unused")
        for part in ("--scope", f"{name}={tmp_path}/{name}.json")
    ]
    axis = "scopes=[],[{include:house}],[{include:mouse}]"
    _, table, error = run("sweep", "lenet", axis, *scopes, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["status"] for row in rows] == ["traced", "traced", "refused"]
    assert rows[2]["problem"] == (
        "/scopes/0/include: There was no saved scope 'mouse' when the sweep was made. Did you mean "
        "'house'?"
    )
    assert said(error)[0] == "warning: --scope unused: nothing names this saved scope."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "A sweep takes a SPEC and axes, or --document FILE."),
        (
            ("lenett",),
            "lenett is neither an architecture, nor a readable file (No such file or "
            "directory), nor JSON (which begins with a brace). Did you mean 'lenet' or "
            "'alexnet_v2'?",
        ),
        (("lenet", "/params/x=[1"), "'[' lacks its ']'.\n    /params/x=[1\n              ^"),
        (("lenet", "/params/x=1", "params.x=2"), "params.x=2: two axes set /params/x."),
        (
            ("lenet", "/param/x=1"),
            "/param/x=1: A spec has no field 'param'. Did you mean 'params'?",
        ),
        (
            ("lenet", "/params/x=range(0)"),
            "/params/x=range(0): There is no number from 0 to before 0 in steps of 1.",
        ),
        (
            ("lenet", "/params/x=interval(0,1)"),
            "/params/x=interval(0,1): an interval has no rows of "
            "its own. Draw rows by --random N, or give values or a range().",
        ),
        (
            ("lenet", "--zip", "g", "/params/x=1,2"),
            "--zip g /params/x=1,2: A group is "
            '{"zip": {...}}: an object of 2 to 32 axes, and nothing else.',
        ),
        (
            ("lenet", "--zip", "g", "/params/x=1,2", "params.x=1,2"),
            "--zip g: two axes set /params/x.",
        ),
        (
            ("lenet", "g=zip(/params/x=[1],/params/y=[1,2])"),
            "g=zip(/params/x=[1],/params/y=[1,2]): "
            "The axes of the group 'g' must have the same number of values: /params/x has 1, "
            "/params/y has 2.",
        ),
        (
            ("lenet", "--where", "params < 3"),
            "params < 3: There is no total 'params'. Did you mean 'parameters'?",
        ),
        (
            ("lenet", "/params/x=range(10001)"),
            "This sweep has 10001 rows; the limit is 10000 (run_cap).",
        ),
        (
            ("lenet", "/params/x=range(3)", "--run-cap", "2"),
            "This sweep has 3 rows; the limit is 2 (run_cap).",
        ),
        (("lenet", "--random", "0"), "--random takes a number of at least 1; received 0."),
        (("lenet", "--jobs", "-1"), "--jobs takes a number of at least 1; received -1."),
        (
            ("lenet", "--random", "3", "--run-cap", "2"),
            "--random says how many rows are drawn, so --run-cap has nothing to refuse.",
        ),
        (
            ("lenet", "--sort", "params"),
            "sort does not accept 'params'. Did you mean 'parameters'?",
        ),
        (
            ("lenet", "--pareto", "layers:minimize"),
            "--pareto takes two totals or more, as parameters:minimize,multiply_adds:minimize.",
        ),
        (
            ("lenet", "--pareto", "parameters:minimize,latency_s:minimize"),
            "latency_s is measured by the service; here rows have totals alone.",
        ),
        (
            ("lenet", "--sort=-latency_s"),
            "latency_s is measured by the service; here rows have totals alone.",
        ),
        (("lenet", "--only-front"), "--only-front needs --pareto, which says what is better."),
        (
            ("lenet", "--dry-run", "--sort", "layers"),
            "--dry-run traces nothing that --sort could look at.",
        ),
        (
            ("lenet", "--dry-run", "--format", "parquet"),
            "--dry-run has no totals for a Parquet file; take csv or json.",
        ),
        (("--document", "nowhere.json"), "nowhere.json cannot be read: No such file or directory."),
        (
            ("lenet", "--document", "x"),
            "The document of --document says all of the sweep; leave out SPEC.",
        ),
        (
            ("--document", "x", "--seed", "3"),
            "The document of --document says all of the sweep; leave out --seed.",
        ),
        (
            ("lenet", "--output", "/nowhere/x"),
            "/nowhere/x cannot be written: No such file or directory.",
        ),
    ],
)
def test_the_status_is_two_for_trouble(run: Run, arguments: tuple[str, ...], message: str) -> None:
    status, out, error = run("sweep", *arguments)
    assert (status, out) == (2, "")
    counted = "1 row\n" if "--output" in arguments else ""
    assert error == f"{counted}model-zoo: {message}\n"


def test_an_error_of_a_document_has_its_pointer(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "sweep.json"
    file.write_text(json.dumps({"spec": LENET, "axes": {CLASSES: 5}}))
    status, _, error = run("sweep", "--document", str(file))
    assert status == 2
    assert error.startswith("model-zoo: /axes/~1params~1num_classes: An axis is a list of values")


# Processes ------------------------------------------------------------------------------------

MANY: dict[str, Any] = {
    "spec": {"architecture": "cifarnet"},
    "axes": {
        CLASSES: [*range(2, 30), "x", 2],
        "/is_training": [False, True],
        "/weights/seed": [0, 1],
    },
}


@pytest.mark.heavy
def test_rows_of_several_processes_are_those_of_one_in_the_same_order() -> None:
    rows = sweep(MANY)
    assert rows.rows == 120
    assert list(trace_in_processes(rows, 2)) == list(rows)


@pytest.mark.heavy
def test_processes_end_when_no_more_rows_are_wanted() -> None:
    traced = trace_in_processes(sweep(MANY), 2)
    assert next(traced).index == 0
    traced.close()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "model_zoo.cli", "sweep", *arguments]


LONG = ("mobilenet_v1", "params.num_classes=range(2,4002)", "--format", "csv")


@pytest.mark.heavy
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupt_keeps_the_rows_that_were_written(jobs: str) -> None:
    with subprocess.Popen(
        command(*LONG, "--jobs", jobs),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell starts what runs in its background deaf to interrupts, and so are the tests then.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline() for _ in range(4)]
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it
        rest, error = process.stdout.read(), process.stderr.read()
    table = list(csv.DictReader(io.StringIO("".join(lines) + rest)))
    assert process.returncode == 130
    assert [row["index"] for row in table] == [str(n) for n in range(len(table))]
    assert 3 <= len(table) < 4000
    first, last = said(error)
    assert first == "4000 rows"
    assert last == f"{len(table):,} of 4,000 rows in N s: {len(table):,} traced"


@pytest.mark.heavy
def test_a_reader_that_has_seen_enough_ends_the_sweep() -> None:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", '"$0" "$@" | head -2', *command(*LONG)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert len(done.stdout.splitlines()) == 2
    assert (done.returncode, done.stderr) == (0, "4000 rows\n")


@pytest.mark.heavy
def test_a_terminal_gets_a_bar() -> None:
    terminal, end = pty.openpty()
    with subprocess.Popen(
        command("lenet", "params.num_classes=2,3"), stdout=subprocess.PIPE, stderr=end
    ) as process:
        os.close(end)
        shown = b""
        with open(terminal, "rb", buffering=0) as reader:  # noqa: PTH123 - a descriptor
            while True:
                try:
                    part = reader.read(4096)
                except OSError:  # what Linux says at the end
                    break
                shown += part
        process.communicate()
    lines = shown.decode().split("\r\n")
    assert lines[0] == "2 rows"
    assert lines[1].startswith("\r[                              ] 0/2 0%\x1b[K")
    assert "\r\x1b[K2 rows in " in lines[1]


def test_a_terminal_gets_no_parquet(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    status, _, error = run("sweep", "lenet", "--format", "parquet")
    message = "model-zoo: Parquet is no text: name a file by --output, or pipe it."
    assert (status, error.splitlines()[-1]) == (2, message)


def test_help_tells_the_grammar_and_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["sweep", "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "An axis is PLACE=VALUES" in text
    assert "The status is 0; 1 if every row was refused" in text
