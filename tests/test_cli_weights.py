"""`model-zoo weights`: what it prints, what it refuses, and what a fetch leaves."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from model_zoo.cli import main
from model_zoo.weights.published import find_published

GOLDEN = Path(__file__).parent / "golden" / "checkpoint" / "mobilenet_v1_0.25_128.tgz"
GOLDEN_ID = "2c9aab9ec84d2c4c357a85d48abd04e13df355ac30e2e046da9ee614375f0574"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command on a store of the test's own."""

    def run_(*arguments: str, home: bool = True) -> tuple[int, str, str]:
        options = ["--home", str(tmp_path / "home")] if home else []
        status = main(["weights", *arguments, *options])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run_


def test_import_list_show_and_remove(run: Run) -> None:
    status, out, _ = run("import", str(GOLDEN), "--name", "mine")
    assert (status, json.loads(out)["id"]) == (0, GOLDEN_ID)
    _, listed, _ = run("list")
    assert listed == (
        f"{GOLDEN_ID}  mine  (TensorFlow V2 checkpoint, 138 tensors, 475,802 values, step "
        "1234567)\n"
    )
    _, shown, _ = run("show", GOLDEN_ID)
    assert shown.splitlines()[:2] == [
        "global_step  int64 []",
        "MobilenetV1/Conv2d_0/BatchNorm/beta  float32 [8]",
    ]
    assert run("remove", GOLDEN_ID)[0] == 0
    assert run("list")[1] == ""
    status, _, error = run("show", GOLDEN_ID)
    assert (status, error) == (1, f"model-zoo: There is no imported checkpoint '{GOLDEN_ID}'.\n")


def test_a_checkpoint_is_imported_by_its_prefix(run: Run, tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(GOLDEN) as archive:
        archive.extractall(tmp_path, filter="data")
    prefix = tmp_path / "mobilenet_v1_0.25_128.ckpt"
    status, out, _ = run("import", str(prefix))
    assert (status, json.loads(out)["global_step"]) == (0, 1234567)
    status, _, error = run("import", str(tmp_path / "other.ckpt"))
    assert status == 1
    assert error == (
        f"model-zoo: {tmp_path}/other.ckpt is neither a file nor the prefix of a checkpoint.\n"
    )


def test_what_is_no_checkpoint_is_refused(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "model.meta"
    file.write_bytes(b"graph")
    status, _, error = run("import", str(file))
    assert status == 1
    assert error.splitlines()[-1] == (
        "model-zoo: model.meta holds a checkpoint's graph and no weights: give its .index and "
        ".data files."
    )


def test_a_plan_of_a_file_on_an_architecture(run: Run) -> None:
    status, out, _ = run("plan", "mobilenet_v1_025", str(GOLDEN))
    assert status == 0
    assert out.splitlines()[0] == "restored: 475,801 of 475,801 parameters (100.0%)"
    _, by_id, _ = run("plan", "mobilenet_v1_025", GOLDEN_ID)
    assert by_id == out
    _, plan, _ = run("plan", "mobilenet_v1_025", GOLDEN_ID, "--format", "json")
    assert json.loads(plan)["sources"][0]["counts"]["matched"] == 137


@pytest.mark.heavy
def test_a_spec_with_sources_is_planned_and_exported(run: Run, tmp_path: Path) -> None:
    run("import", str(GOLDEN))
    spec = tmp_path / "spec.json"
    source = {"source": "checkpoint", "id": GOLDEN_ID, "exclude": ["MobilenetV1/Logits/*"]}
    spec.write_text(
        json.dumps(
            {"architecture": "mobilenet_v1_025", "params": {"num_classes": 3}, "weights": source}
        )
    )
    assert "135 matched" in run("plan", str(spec))[1]
    output = tmp_path / "out.safetensors"
    assert run("export", str(spec), str(output))[0] == 0
    exported = safetensors.numpy.load_file(output)
    assert exported["MobilenetV1/Logits/Conv2d_1c_1x1/biases"].shape == (3,)
    np.testing.assert_allclose(
        exported["MobilenetV1/Conv2d_0/weights"].ravel()[:2], [-0.765996, -0.0791537], rtol=1e-5
    )


@pytest.mark.heavy
def test_a_strict_source_that_does_not_fit_is_not_exported(run: Run, tmp_path: Path) -> None:
    run("import", str(GOLDEN))
    spec = tmp_path / "spec.json"
    source = {"source": "checkpoint", "id": GOLDEN_ID}
    params = {"num_classes": 1000}
    spec.write_text(
        json.dumps({"architecture": "mobilenet_v1_025", "params": params, "weights": source})
    )
    status, _, error = run("export", str(spec), str(tmp_path / "out.npz"), "--format", "npz")
    assert status == 1
    assert "The checkpoint has 1001 classes, background first; this build 1000." in error
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize("format_name", ["npz", "checkpoint", "onnx"])
def test_a_file_that_cannot_be_written_is_said(run: Run, tmp_path: Path, format_name: str) -> None:
    target = tmp_path / "none" / "out"
    status, _, error = run("export", "lenet", str(target), "--format", format_name)
    assert status == 1
    assert error.endswith(f"model-zoo: {target} cannot be written: No such file or directory.\n")


def test_an_onnx_file_is_exported_with_its_options(run: Run, tmp_path: Path) -> None:
    import onnx

    target = tmp_path / "lenet.onnx"
    options = ("--opset", "17", "--layout", "nchw")
    assert run("export", "lenet", str(target), "--format", "onnx", *options)[0] == 0
    model = onnx.load(target)
    assert [each.version for each in model.opset_import] == [17]
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    assert [size.dim_value for size in sizes] == [0, 1, 28, 28]
    status, _, error = run("export", "lenet", str(target), "--opset", "17")
    assert (status, error) == (
        1,
        "model-zoo: opset is an option of format 'onnx'; format 'safetensors' does not have it. "
        "Leave it out, or choose another format.\n",
    )


def test_a_build_of_the_service_is_told_to_be_elsewhere(run: Run, tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    source = {"source": "build", "id": "0" * 32}
    spec.write_text(json.dumps({"architecture": "lenet", "weights": source}))
    status, _, error = run("plan", str(spec))
    assert (status, error) == (
        1,
        f"model-zoo: /weights/id: Build {'0' * 32} is kept by a service; export its weights there "
        "and import them here.\n",
    )


@pytest.fixture
def server() -> Iterator[str]:
    """A server of one file, and its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = GOLDEN.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/mobilenet_v1_0.25_128.tgz"
        server.shutdown()
        thread.join()


def test_a_published_checkpoint_is_fetched_imported_and_ready_in_a_spec(
    run: Run, server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    row = replace(find_published("mobilenet_v1_0.25_128"), url=server, sha256=GOLDEN_ID)
    monkeypatch.setattr("model_zoo.cli.weights.find_published", lambda _: row)
    status, out, error = run("fetch", "mobilenet_v1_0.25_128")
    assert status == 0, error
    assert "fetching: 1.8 of 1.8 MB (100%)" in error
    spec = tmp_path / "spec.json"
    spec.write_text(out)
    assert json.loads(out)["weights"] == {"source": "checkpoint", "id": GOLDEN_ID}
    assert run("plan", str(spec))[1].startswith("restored: 475,801 of 475,801 parameters (100.0%)")
    wrong = replace(row, sha256="0" * 64)
    monkeypatch.setattr("model_zoo.cli.weights.find_published", lambda _: wrong)
    status, _, error = run("fetch", "mobilenet_v1_0.25_128")
    assert status == 1
    assert "0" * 64 in error


def test_an_unknown_name_is_refused_with_the_nearest(run: Run) -> None:
    status, _, error = run("fetch", "inception_v3_2016_08_8")
    assert status == 1
    assert error.startswith(
        "model-zoo: There is no published checkpoint 'inception_v3_2016_08_8'. Did you mean "
        "'inception_v3_2016_08_28'"
    )


def test_the_published_are_listed(run: Run) -> None:
    _, out, _ = run("published", home=False)
    assert "inception_v3_2016_08_28  inception_v3, 1001 classes, top-1 78.0, top-5 93.9" in out
    _, rows, _ = run("published", "--format", "json", home=False)
    assert json.loads(rows)[0]["spec"]["architecture"] == "inception_v1"
