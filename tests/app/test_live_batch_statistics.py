"""One client's rows change no other client's answer, whatever the network does with a batch."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from zoo_server import Server, build, npy_bytes

from model_zoo import BuildSpec, materialize, trace

SCOPES = [{"ops": ["conv2d", "fully_connected"], "args": {"normalizer_fn": "batch_norm"}}]
CLIENTS = 12
# Between the engines, which take the statistics of a batch in their own way.
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that lets requests gather: those that may share a batch certainly do."""
    server = Server(tmp_path_factory.mktemp("home"), batch_delay_s=0.5)
    yield server
    server.end()


def rows_of(client: int, count: int = 2) -> np.ndarray:
    random = np.random.RandomState(client)
    # Each client's rows have a mean and a spread of their own, which the others' would hide.
    values = random.normal(client, 1 + client, (count, 28, 28, 1))
    return np.asarray(values, np.float32)


def v2(client: httpx.Client, model: str, rows: np.ndarray) -> np.ndarray:
    tensor = {"name": "input", "datatype": "FP32", "shape": rows.shape, "data": rows.tolist()}
    response = client.post(f"/v2/models/{model}/infer", json={"inputs": [tensor]})
    assert response.status_code == 200, response.text
    return np.array(response.json()["outputs"][0]["data"]).reshape(len(rows), -1)


def tensorflow_serving(client: httpx.Client, model: str, rows: np.ndarray) -> np.ndarray:
    response = client.post(f"/v1/models/{model}:predict", json={"instances": rows.tolist()})
    assert response.status_code == 200, response.text
    return np.array(response.json()["predictions"])


def predict(client: httpx.Client, model: str, rows: np.ndarray) -> np.ndarray:
    path = f"/v1/builds/{model}/predict?output=logits"
    response = client.post(path, content=npy_bytes(rows))
    assert response.status_code == 200, response.text
    return np.array(response.json()["outputs"]["logits"]["data"]).reshape(len(rows), -1)


def infer(client: httpx.Client, model: str, rows: np.ndarray) -> np.ndarray:
    spec = json.dumps({"architecture": "lenet", "scopes": SCOPES})
    form = [("spec", (None, spec)), *(("array", npy_bytes(row)) for row in rows)]
    response = client.post("/v1/infer?output=logits", files=form)
    assert response.status_code == 200, response.text
    assert any("is_training of batch_norm" in each for each in response.json()["warnings"])
    return np.array(response.json()["outputs"]["logits"]["data"]).reshape(len(rows), -1)


def compare(client: httpx.Client, model: str, rows: np.ndarray) -> np.ndarray:
    path = f"/v1/compare?builds={model},{build(client)}&output=logits"
    response = client.post(path, content=npy_bytes(rows))
    assert response.status_code == 200, response.text
    result = response.json()["results"][0]
    assert result["batch_rows"] == len(rows)
    return np.array(result["outputs"]["logits"]["data"]).reshape(len(rows), -1)


WAYS: tuple[Any, ...] = (v2, tensorflow_serving, predict, infer, compare)


@pytest.fixture(scope="module")
def expected() -> Any:
    model = materialize(trace(BuildSpec.read({"architecture": "lenet", "scopes": SCOPES})))
    return model.predict


def differs(answer: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.abs(answer - expected).max() > TOLERANCE * np.abs(expected).max())


def test_requests_at_once_are_answered_as_if_each_came_alone(
    patient: Server, expected: Any
) -> None:
    with patient.client() as client, ThreadPoolExecutor(CLIENTS) as pool:
        mixing = build(client, scopes=SCOPES)
        ways = [WAYS[number % len(WAYS)] for number in range(CLIENTS)]
        answers = [
            pool.submit(way, client, mixing, rows_of(number)) for number, way in enumerate(ways)
        ]
        wrong = [
            (number, ways[number].__name__)
            for number, answer in enumerate(answers)
            if differs(answer.result(), expected(rows_of(number)))
        ]
        assert wrong == []
        # ONNX Runtime's lanes take as few rows as a slow machine needs.
        client.put("/v1/models/plain", json={"build": build(client), "engine": "tensorflow"})
        list(pool.map(lambda number: v2(client, "plain", rows_of(number)), range(CLIENTS)))

        def batches(model: str) -> set[int]:
            (stats,) = client.get(f"/v2/models/{model}/stats").json()["model_stats"]
            return {each["batch_size"] for each in stats["batch_stats"]}

        assert batches(mixing) == {2}
        assert max(batches("plain")) > 2, "the requests of this test did not meet"


def test_the_rows_of_a_request_larger_than_a_batch_are_computed_together(
    patient: Server, expected: Any
) -> None:
    rows = np.concatenate([rows_of(number, 4) for number in range(5)])
    with patient.client() as client:
        mixing = build(client, scopes=SCOPES)
        for way in (v2, predict, tensorflow_serving):
            assert not differs(way(client, mixing, rows), expected(rows)), way.__name__


def test_every_engine_computes_them_together(patient: Server, expected: Any) -> None:
    rows = rows_of(3, 20)
    with patient.client() as client:
        mixing = build(client, scopes=SCOPES)
        for engine in ("tensorflow", "onnxruntime"):
            naming = {"build": mixing, "engine": engine}
            assert client.put(f"/v1/models/{engine}", json=naming).status_code == 201
            assert not differs(v2(client, engine, rows), expected(rows)), engine
