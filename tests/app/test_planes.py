"""The two planes: the API never imports TensorFlow, and the service uses exported names only."""

import ast
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from zoo_server import ROOT, Server, build, npy_bytes

import model_zoo

MODULES = sorted((ROOT / "app").rglob("*.py"))

REQUESTS = """
import sys, tempfile, warnings
warnings.simplefilter("ignore")
import numpy as np
from starlette.testclient import TestClient
from app.engine import Answer
from app.main import create_app
from app.settings import Settings

sys.path.insert(0, "tests")
from zoo_server import NoEngine


class ZerosEngine(NoEngine):
    async def infer(self, model, rows, outputs, **options):
        zeros = np.zeros((rows.count, 10), np.float32)
        return Answer(dict.fromkeys(outputs, zeros), {"compute": 0.001}, rows.count)


row = [[[0.5]] * 28] * 28
app = create_app(Settings(home=tempfile.mkdtemp()), lambda *_: ZerosEngine())
with TestClient(app) as client:
    made = client.post("/v1/builds", json={"architecture": "lenet"})
    build, location = made.json()["id"], made.headers["location"]
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, 28, 28, 1], "data": [row]}
    answers = [
        made,
        client.get(location + "/summary"),
        client.get(location + "/explanation?format=text"),
        client.get(location + "/restore-plan"),
        client.get("/v1/architectures/inception_v3"),
        client.get("/v1/ops/conv2d"),
        client.get("/openapi.json"),
        client.get("/docs"),
        client.get("/metrics"),
        client.post(f"/v2/models/{build}/infer", json={"inputs": [tensor]}),
        client.post(f"/v1/models/{build}:predict", json={"instances": [row]}),
        client.post(f"/v1/models/{build}:classify", json={"examples": [{"input": row}]}),
        client.get(location + "/weights?format=none"),
        client.post(location + "/predict?top_k=0", content=b""),
    ]
print([answer.status_code for answer in answers])
print(sorted({"tensorflow", "keras", "onnxruntime"} & set(sys.modules)))
"""


def test_requests_leave_what_computes_out() -> None:
    done = subprocess.run(
        [sys.executable, "-c", REQUESTS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    statuses = [201, *[200] * 11, 422, 422]
    assert (done.stdout, done.returncode) == (f"{statuses}\n[]\n", 0), done.stderr


def test_processes_beside_the_api_start_without_its_database_and_http() -> None:
    code = (
        "import sys, app.compute.reader.__main__, app.compute.tracer.__main__\n"
        "import app.compute.worker.__main__, app.compute.worker.worker_tasks\n"
        "print(sorted({'sqlalchemy', 'fastapi', 'starlette', 'httpx'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


@pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(ROOT)) for path in MODULES])
def test_the_service_uses_only_names_that_the_library_exports(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            assert not [name for name in names if name.startswith("model_zoo.")]
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("model_zoo"):
            assert node.module == "model_zoo"
            assert {alias.name for alias in node.names} <= set(model_zoo.__all__)


def test_only_the_worker_s_modules_import_what_computes() -> None:
    """Forbidden elsewhere: TensorFlow's import takes seconds and memory, and images are hostile."""
    heavy = {"tensorflow", "keras", "onnxruntime", "PIL"}
    found = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            if heavy & {module.split(".")[0] for module in modules}:
                found.add(str(path.relative_to(ROOT)))
    assert {Path(path).parent.name if "runtimes" in path else path for path in found} == {
        "app/compute/worker/device.py",
        "runtimes",
    }


@pytest.mark.heavy
def test_tensorflow_stays_out_of_the_process_that_answers_first(tmp_path: Path) -> None:
    server = Server(tmp_path)
    with server.client() as client:
        path = f"/v1/builds/{build(client)}"
        row = npy_bytes(np.zeros((28, 28, 1), np.float32))
        assert client.post(f"{path}/predict", content=row).status_code == 200
        for name in ("npz", "onnx", "keras"):
            assert client.get(f"{path}/weights?format={name}").status_code == 200
    first, second = (server.worker_pid(count) for count in (1, 2))
    assert libraries(first) == {"onnxruntime"}
    assert libraries(second) == {"tensorflow"}
    assert server.end() == 0


def libraries(pid: int) -> set[str]:
    """Return which of the two engines a process has in memory."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return {name for name in ("onnxruntime", "tensorflow") if f"/{name}/" in maps}


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if ">>>" in path.read_text()],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_the_examples_of_docstrings_hold(path: Path) -> None:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    found = doctest.testmod(importlib.import_module(name))
    assert (found.failed, found.attempted > 0) == (0, True)
