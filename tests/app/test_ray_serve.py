"""examples/ray_serve.py: an engine as a deployment of Ray Serve, which others call by handle."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from zoo_server import build

from benchmarks.cluster.nodes import ray_nodes

pytestmark = [pytest.mark.heavy, pytest.mark.long]

if not os.environ.get("CI"):
    pytest.importorskip("ray.serve", reason="Ray Serve is not installed")

EXAMPLE = Path(__file__).parents[2] / "examples" / "ray_serve.py"
SCOPED = {
    "architecture": "lenet",
    "scopes": [{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}],
}
# What it prints is JSON, the only line on standard output.
CALLER = """
import json
import numpy as np
from ray import serve
from model_zoo import ZooError

zoo = serve.get_app_handle("model-zoo")
rows = np.random.RandomState(1).rand(3, 28, 28, 1).astype(np.float32)

def refusal(spec, rows):
    try:
        zoo.predict.remote(spec, rows).result()
    except ZooError as error:
        return str(error.cause)

status = serve.status()
print(json.dumps({
    "output": zoo.predict.remote(%r, rows).result().tolist(),
    "unknown": refusal({"architecture": "lenett"}, rows),
    "misfit": refusal({"architecture": "lenet"}, rows[:, :14]),
    "doubles": refusal({"architecture": "lenet"}, rows.astype(float)),
    "replicas": status.applications["model-zoo"].deployments["ModelZoo"].replica_states,
    "proxies": len(status.proxies),
}))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a node's processes."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:  # the nodes inherit it, and the replicas theirs
        patch.setenv("ZOO_HOME", str(home))
        patch.setenv("ZOO_DEVICE", "cpu")
        with ray_nodes(1, cpus=2) as cluster:
            yield {**os.environ, "RAY_ADDRESS": cluster.address}


def run(arguments: list[str], environment: dict[str, str]) -> Any:
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def served(live: httpx.Client, spec: dict[str, Any], rows: np.ndarray) -> Any:
    """Return the output of the real program."""
    name = "beside-serve"
    body = {"build": build(live, **spec), "engine": "onnxruntime"}
    assert live.put(f"/v1/models/{name}", json=body).status_code in (200, 201)
    tensor = {"name": "input", "datatype": "FP32", "shape": rows.shape, "data": rows.tolist()}
    answer = live.post(f"/v2/models/{name}/infer", json={"inputs": [tensor]}).json()
    return np.array(answer["outputs"][0]["data"], np.float32).reshape(len(rows), -1)


def test_others_call_it_by_handle(environment: dict[str, str], live: httpx.Client) -> None:
    row = np.random.RandomState(0).rand(1, 28, 28, 1).astype(np.float32)
    printed = run([str(EXAMPLE)], environment)
    assert np.array_equal(np.float32(printed), served(live, {"architecture": "lenet"}, row))

    answer = run(["-c", CALLER % SCOPED], environment)
    rows = np.random.RandomState(1).rand(3, 28, 28, 1).astype(np.float32)
    assert np.array_equal(np.float32(answer.pop("output")), served(live, SCOPED, rows))
    assert answer == {
        "unknown": "/architecture: There is no architecture 'lenett'. Did you mean 'lenet' or "
        "'alexnet_v2'?",
        "misfit": "lenet takes rows of float32 of shape [28, 28, 1], received float32 of shape "
        "[3, 14, 28, 1].",
        "doubles": "lenet takes rows of float32 of shape [28, 28, 1], received float64 of shape "
        "[3, 28, 28, 1].",
        "replicas": {"RUNNING": 2},
        "proxies": 0,
    }
