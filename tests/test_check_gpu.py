"""The check of a GPU, run on the CPU: its table, and what it says where it cannot check."""

import gzip
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import check_gpu

ROOT = Path(__file__).parent.parent
OPEN = ROOT / "tests" / "golden" / "open"


def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script as a user does: from elsewhere, and without this project on the path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "check_gpu.py", *map(str, arguments)],
        env={**environment, "KERAS_BACKEND": "jax", **variables},
        cwd="/",
        capture_output=True,
        text=True,
    )


def cells(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A folder with a record that passes and one that does not."""
    (tmp_path / "lenet.json.gz").write_bytes((OPEN / "lenet.json.gz").read_bytes())
    record = json.loads(gzip.decompress((OPEN / "lenet.json.gz").read_bytes()))
    record["case"] = "false"
    record["output"]["values"][3] *= 1.5
    (tmp_path / "false.json.gz").write_bytes(gzip.compress(json.dumps(record).encode()))
    return tmp_path


@pytest.mark.heavy
def test_table_on_the_cpu_says_what_works_and_what_does_not(records: Path, tmp_path: Path) -> None:
    (blocked := tmp_path / "blocked").mkdir()
    (blocked / "tensorflow.py").write_text("raise SystemExit('TensorFlow was imported')")
    options = ["--cpu", "--networks", "lenet,false", "--precisions", "float32,bfloat16"]
    checked = run(records, *options, "--batches", "1,3", "--seconds", 120, PYTHONPATH=str(blocked))
    assert checked.returncode == 1, checked.stderr
    assert checked.stdout.startswith("CPU: jax ")
    titles, replayed, *measured = cells(checked.stdout)
    assert titles == ["network", "precision", "device", "difference", "1", "3", "works"]
    assert replayed == ["golden records", "float32", "CPU", "", "", "", "1 of 2 pass; not false"]
    verdicts = {(row[0], row[1]): row[-1] for row in measured}
    assert verdicts == {
        ("lenet", "float32"): "yes",
        ("lenet", "bfloat16"): "yes",
        ("false", "float32"): "no: differs by more than 0.0001",
        ("false", "bfloat16"): "no: differs by more than 0.05",
    }
    exact, rounded = (float(row[3]) for row in measured[:2])
    assert exact < 1e-5 < rounded < 0.05
    assert all(float(rate.replace(",", "")) > 0 for row in measured[:2] for rate in row[4:6])


@pytest.mark.heavy
def test_without_a_gpu_one_line_says_so(records: Path) -> None:
    checked = run(records, CUDA_VISIBLE_DEVICES="-1")
    assert (checked.returncode, checked.stdout) == (1, "")
    (line,) = checked.stderr.splitlines()
    version = importlib.metadata.version("jax")
    assert line == (
        f"check_gpu: no GPU: jax {version}: sees none. --cpu runs the check on the CPU."
    )


@pytest.mark.heavy
def test_without_time_the_table_still_comes_and_says_so(records: Path) -> None:
    checked = run(records, "--cpu", "--networks", "lenet", "--batches", "1,2", "--seconds", 4)
    assert checked.returncode == 1
    for row in cells(checked.stdout)[2:]:
        assert "no time" in row[-1] or "no time" in row[-2], row


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["/absent"], "there is no file or folder /absent"),
        (["--batches", "8,1"], "--batches must grow, from at least 1"),
        (
            ["--precisions", "float16"],
            "there is no precision 'float16': float32, TF32, bfloat16",
        ),
        (["--batches", "1,many"], "argument --batches: invalid list of int value: '1,many'"),
    ],
)
def test_wrong_arguments_are_refused(options: list[str], message: str) -> None:
    checked = run(*options)
    assert checked.returncode == 2
    assert checked.stderr.splitlines()[-1] == f"check_gpu.py: error: {message}"


@pytest.mark.parametrize(
    ("messages", "row"),
    [
        (
            [
                {"difference": 2e-3},
                {"batch": 1, "rows_s": 1234.56},
                {"batch": 8, "ended": "out of memory"},
            ],
            ["net", "TF32", "2.0e-03", "1,234.6", "out of memory", "", "yes"],
        ),
        (
            [{"difference": 0.02}, {"batch": 1, "rows_s": 1.0}, {"batch": 8, "ended": "no time"}],
            ["net", "TF32", "2.0e-02", "1.0", "no time", "", "no: differs by more than 0.01"],
        ),
        (
            [{"difference": 1e-3}, {"batch": 1, "rows_s": 1.0}, {"error": "ended with status -9"}],
            ["net", "TF32", "1.0e-03", "1.0", "", "", "no: ended with status -9"],
        ),
        ([{"ended": "no time"}], ["net", "TF32", "", "no time", "", "", "not known: no time"]),
    ],
)
def test_row_ends_where_its_measurement_ended(messages: list[dict], row: list[str]) -> None:
    assert check_gpu.measured_row("net", "TF32", messages, (1, 8, 32))[0] == row


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8 bytes"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"), True),
        (ValueError("no such thing"), False),
    ],
)
def test_out_of_memory_is_known_in_every_backends_words(error: Exception, is_memory: bool) -> None:
    assert check_gpu.is_out_of_memory(error) is is_memory


@pytest.mark.heavy
def test_a_network_without_a_record_is_not_measured(records: Path) -> None:
    step = {"records": str(records), "network": "absent", "precision": "float32"}
    assert list(check_gpu.measure(step)) == [{"error": f"there is no absent.json.gz in {records}"}]


@pytest.mark.heavy
def test_batches_end_when_memory_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The step that measures stops at the batch that does not fit, and keeps those before it."""
    from model_zoo import BuildSpec, trace

    class Small:
        graph = trace(BuildSpec.read({"architecture": "lenet"})).graph

        def predict(self, rows: object) -> None:
            if len(rows) > 2:  # type: ignore[arg-type]
                raise RuntimeError("RESOURCE_EXHAUSTED: too large")

    import model_zoo.verify as verify

    monkeypatch.setattr(verify, "replay_output", lambda path, policy: (Small(), 1e-6))
    monkeypatch.setattr(check_gpu, "allow_tf32", lambda backend, allowed: None)
    step = {
        "backend": "jax",
        "records": str(OPEN / "lenet.json.gz"),
        "network": "lenet",
        "precision": "float32",
        "batches": (1, 2, 4, 8),
        "seconds": 1e9,
    }
    messages: Iterator[dict] = check_gpu.measure(step)
    difference, *rates, last = messages
    assert difference == {"difference": 1e-6}
    assert [message["batch"] for message in rates] == [1, 2]
    assert last == {"batch": 4, "ended": "out of memory"}
