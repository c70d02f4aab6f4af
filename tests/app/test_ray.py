"""The program on a real Ray cluster of two nodes: answers, losses, a node more, the end."""

import asyncio
import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from idle_time import until
from zoo_server import Server, build, image_bytes, npy_bytes, poll

from app.engine import ModelRef, QueueFullError, Rows
from app.settings import Settings
from benchmarks.cluster.nodes import ACTOR, processes_called, ray_nodes, send
from model_zoo import BuildSpec

pytestmark = [pytest.mark.heavy, pytest.mark.long]

if not os.environ.get("CI"):
    pytest.importorskip("ray", reason="the extra ray is not installed")

CLASSES = "/params/num_classes"
ELU = [{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}]
# Four nested levels around inception_v3.
DEMO = json.loads((Path(__file__).parents[2] / "examples" / "demo.json").read_bytes())
ROW = np.random.RandomState(0).rand(1, 28, 28, 1).astype(np.float32)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with ray_nodes() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def program(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("home"), ray_address=cluster.address)
    server.wait_for("takes requests", 2)
    yield server
    server.end()


@pytest.fixture
def spread(program: Server) -> Iterator[httpx.Client]:
    with program.client() as client:
        yield client


def predict(client: httpx.Client, build_id: str, rows: np.ndarray) -> Any:
    response = client.post(f"/v1/builds/{build_id}/predict", content=npy_bytes(rows))
    assert response.status_code == 200, response.text
    return response.json()["predictions"]


def models(client: httpx.Client) -> float:
    match = re.search(r"^zoo_cache_models (\S+)", client.get("/metrics").text, re.MULTILINE)
    assert match is not None
    return float(match[1])


def put(client: httpx.Client, name: str, build_id: str, **options: Any) -> None:
    response = client.put(f"/v1/models/{name}", json={"build": build_id, **options})
    assert response.status_code in (200, 201), response.text


def state(client: httpx.Client, name: str) -> str:
    (model,) = [each for each in client.get("/v1/models").json()["models"] if each["name"] == name]
    return str(model["state"])


# Answers ------------------------------------------------------------------------------------------


def test_a_cluster_answers_as_the_local_engine(spread: httpx.Client, live: httpx.Client) -> None:
    rows = np.random.RandomState(1).rand(2, 299, 299, 3).astype(np.float32)
    answers = []
    for client in (spread, live):
        build_id = build(client, **DEMO)
        put(client, "nested", build_id, engine="onnxruntime")
        tensor = {"name": "input", "datatype": "FP32", "shape": rows.shape, "data": rows.tolist()}
        infer = client.post("/v2/models/nested/infer", json={"inputs": [tensor]})
        picture = client.post(
            f"/v1/builds/{build_id}/predict",
            content=image_bytes(),
            headers={"Content-Type": "image/jpeg"},
        )
        weights = client.get(f"/v1/builds/{build_id}/weights?format=npz")
        profile = client.get(f"/v1/builds/{build_id}/profile?engine=onnxruntime&runs=1").json()
        refused = client.post(
            f"/v1/builds/{build_id}/predict", content=npy_bytes(np.zeros((1, 299, 298, 3), "f4"))
        )
        assert weights.status_code == 200, weights.text
        answers.append(
            {
                "output": np.array(infer.json()["outputs"][0]["data"]),
                "picture": picture.json()["predictions"],
                "weights": weights.headers["etag"],
                "layers": [layer["name"] for layer in profile["layers"]],
                "refused": (refused.status_code, refused.json()["detail"]),
                "state": state(client, "nested"),
            }
        )
    ours, theirs = answers
    assert np.array_equal(ours.pop("output"), theirs.pop("output"))
    assert ours == theirs


def test_a_sweep_has_the_same_rows(spread: httpx.Client, live: httpx.Client) -> None:
    document = {
        "spec": {"architecture": "lenet"},
        "axes": {CLASSES: {"start": 2, "stop": 502}, "/scopes": {"values": [[], ELU]}},
    }
    ndjson = {"Accept": "application/x-ndjson"}
    texts = [
        client.post("/v1/sweeps", json=document, headers=ndjson).text for client in (spread, live)
    ]
    assert len(texts[0].splitlines()) == 1000
    assert texts[0] == texts[1]


def test_statistics_count_what_the_nodes_compute(spread: httpx.Client) -> None:
    build_id = build(spread, params={"num_classes": 3})
    for _ in range(3):
        predict(spread, build_id, ROW)
    (stats,) = spread.get(f"/v2/models/{build_id}/stats").json()["model_stats"]
    assert (stats["inference_count"], stats["execution_count"]) == (3, 3)
    metrics = spread.get("/metrics").text
    assert re.search(r'zoo_process_resident_memory_bytes\{process="worker"\} [1-9]', metrics)


def test_ray_says_nothing_in_our_log(program: Server) -> None:
    ours = re.compile(r"\d{4}-\d\d-\d\d .* (INFO|WARNING) |Serving on |INFO reader \d+: ")
    assert [line for line in program.log if not ours.match(line)] == []


# Losses -------------------------------------------------------------------------------------------


class Load:
    """Clients that ask for one answer again and again."""

    def __init__(self, program: Server, build_id: str, count: int = 3) -> None:
        self._url = f"{program.url}/v1/builds/{build_id}/predict"
        self.known = self._ask(httpx)
        self.answers: list[Any] = []
        self._is_over = False
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]

    def _ask(self, client: Any) -> Any:
        response = client.post(self._url, content=npy_bytes(ROW), timeout=30)
        return (response.status_code, response.json().get("predictions"))

    def _run(self) -> None:
        with httpx.Client() as client:
            while not self._is_over:
                self.answers.append(self._ask(client))

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def more(self, count: int) -> None:
        """Wait until there are more answers."""
        before = len(self.answers)
        poll(lambda: len(self.answers) >= before + count)

    def __exit__(self, *_exception: object) -> None:
        self._is_over = True
        for thread in self._threads:
            thread.join()
        assert self.known[0] == 200
        assert [each for each in self.answers if each != self.known] == []


def test_a_node_that_freezes_loses_nothing_and_comes_back(
    cluster: Any, program: Server, spread: httpx.Client
) -> None:
    build_id = build(spread)
    put(spread, "everywhere", build_id, pinned=True)
    poll(lambda: state(spread, "everywhere") == "ready")
    (node,) = cluster.worker_nodes
    ups = sum("takes requests" in line for line in program.log)
    losses = sum("is lost" in line for line in program.log)
    with Load(program, build_id) as load:
        load.more(20)
        send(node, signal.SIGSTOP)
        program.wait_for(r"is lost: it has not answered for 1 s", losses + 1)
        load.more(20)
        assert spread.get("/healthz").json()["worker"]["state"] == "ready"
        send(node, signal.SIGCONT)
        program.wait_for("takes requests", ups + 1)
        load.more(20)


def test_a_node_that_dies_loses_nothing_and_a_new_one_takes_work(
    cluster: Any, program: Server, spread: httpx.Client
) -> None:
    build_id = build(spread)  # which is pinned
    poll(lambda: models(spread) > 1)
    (node,) = cluster.worker_nodes
    ups = sum("takes requests" in line for line in program.log)
    losses = sum("is lost" in line for line in program.log)
    with Load(program, build_id) as load:
        load.more(20)
        send(node, signal.SIGKILL)
        program.wait_for("is lost", losses + 1)
        load.more(20)
        cluster.worker_nodes.remove(node)
        cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
        program.wait_for("takes requests", ups + 1)
        load.more(20)
    poll(lambda: models(spread) > 1)  # the pinned one is in both again


# The ends -----------------------------------------------------------------------------------------


def test_an_engine_that_closes_leaves_no_actor(cluster: Any, tmp_path: Path) -> None:
    """Beside the program, which has actors of its own."""
    from app.cluster.ray_cluster import make_ray_engine

    before = set(processes_called(ACTOR))

    async def run() -> None:
        settings = Settings(
            home=tmp_path, device="cpu", ray_address=cluster.address, queue_length=1
        )
        counted: list[Any] = []
        engine = make_ray_engine(settings, lambda *batch: counted.append(batch))
        await engine.start(wait_until_ready=False)
        try:
            spec = BuildSpec.read({"architecture": "lenet"}).normalized()
            model = ModelRef("lenet", spec, {}, "onnxruntime")
            rows = Rows(ROW.tobytes(), 1)
            answer = await engine.infer(model, rows, ("output",), counted_as=("lenet", "1"))
            assert answer.arrays["output"].shape == (1, 10)
            assert [each[:2] for each in counted] == [(("lenet", "1"), 1)]
            assert engine.state(model).state == "ready"
            calls = (
                engine.infer(model, rows, ("output",), counted_as=("lenet", "1")) for _ in range(30)
            )
            results = await asyncio.gather(*calls, return_exceptions=True)
            refused = [each for each in results if isinstance(each, QueueFullError)]
            assert refused
            assert all(each.retry_after_s >= 1 for each in refused)
            async with asyncio.timeout(60):  # the other node's may still start
                await until(lambda: len(set(processes_called(ACTOR)) - before) == 2)
        finally:
            await engine.close()

    asyncio.run(run())
    poll(lambda: not set(processes_called(ACTOR)) - before)


def test_a_program_that_is_killed_leaves_no_actor(program: Server) -> None:
    assert processes_called(ACTOR)
    program.process.kill()
    poll(lambda: not processes_called(ACTOR))


def test_a_cluster_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    server = Server(tmp_path, ray_address="127.0.0.1:1")
    assert server.wait() == 1
    (line,) = [each for each in server.log if each != "<end>"]
    assert line == (
        "The service cannot start: ZOO_RAY_ADDRESS=127.0.0.1:1: the cluster cannot be joined: "
        "nothing answers there (Connection refused). The service runs on a node of the cluster: "
        "`ray start` makes this machine one.\n"
    )
