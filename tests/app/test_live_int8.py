"""The real program with a version in int8: after a restart, a restore, and a kill."""

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from zoo_server import Server, build, image_bytes, npy_bytes, poll

from app.store.backups import back_up, restore
from model_zoo import decode_image, preprocess

PARTS = [image_bytes("PNG", (40 + index, 40)) for index in range(20)]
ROWS = np.stack(
    [
        preprocess("lenet", decode_image(part, max_pixels=10_000, channels=1), (28, 28, 1))
        for part in PARTS[3:6]
    ]
)
MEASURED = (
    "measured_difference",
    "measured_largest_difference",
    "measured_agreement",
    "calibration_rows",
    "held_out_rows",
    "precision",
)


def put(client: httpx.Client, build_id: str, files: list[bytes] = PARTS) -> httpx.Response:
    document = json.dumps({"build": build_id, "precision": "int8"})
    fields: list[tuple[str, Any]] = [("model", (None, document))]
    fields += [("calibration", ("picture", each)) for each in files]
    return client.put("/v1/models/fast", files=fields)


def logits(client: httpx.Client, output: str = "output") -> np.ndarray:
    data = {"name": "input", "datatype": "FP32", "shape": [3, 28, 28, 1]}
    body = {"inputs": [{**data, "data": ROWS.ravel().tolist()}], "outputs": [{"name": output}]}
    answer = client.post("/v2/models/fast/infer", json=body)
    assert answer.status_code == 200, answer.text
    return np.array(answer.json()["outputs"][0]["data"])


def measured(client: httpx.Client) -> list[str]:
    properties = client.get("/v2/models/fast").json()["properties"]
    return [properties[name] for name in MEASURED]


def calibrations(home: Path) -> set[str]:
    return {path.name for path in (home / "calibrations").iterdir()}


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A service that has a version in int8."""
    home = tmp_path_factory.mktemp("int8") / "home"
    server = Server(home)
    with server.client() as client:
        answer = put(client, build(client))
        assert (answer.status_code, answer.json()["state"]) == (201, "ready"), answer.text
    yield server, home
    server.end()


def test_it_answers_in_int8_by_each_protocol(quantized: tuple[Server, Path]) -> None:
    server, _ = quantized
    with server.client() as client:
        assert measured(client)[-3:] == ["15", "5", "int8"]
        body = {"instances": ROWS.tolist()}
        served = client.post("/v1/models/fast:predict", json=body).json()["predictions"]
        np.testing.assert_allclose(np.ravel(served), logits(client), rtol=1e-6)
        made = client.get("/v1/models").json()["models"][0]["build"]
        path = f"/v1/builds/{made}/predict?output=logits&format=npy"
        float32 = client.post(path, content=npy_bytes(ROWS))
        difference = np.abs(np.ravel(served) - np.frombuffer(float32.content[-120:], np.float32))
        assert 0 < difference.max() < 0.05 * np.abs(served).max()
        assert logits(client, "conv1").size == 3 * 28 * 28 * 32


def test_a_restart_and_a_restored_backup_give_the_same_numbers(
    quantized: tuple[Server, Path], tmp_path: Path
) -> None:
    server, home = quantized
    with server.client() as client:
        before, numbers = logits(client), measured(client)
    copied = back_up(home, tmp_path / "backup")
    assert (copied.calibrations, copied.missing_calibrations) == (1, ())
    restore(tmp_path / "backup", tmp_path / "home")
    assert calibrations(tmp_path / "home") == calibrations(home)
    again = Server(tmp_path / "home")
    with again.client() as client:
        np.testing.assert_array_equal(logits(client), before)
        assert measured(client) == numbers
        assert client.delete("/v1/models/fast").status_code == 204
        assert calibrations(tmp_path / "home") == set()
    again.end()


def test_a_kill_while_it_is_quantized_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    server = Server(home)
    with server.client() as client:
        made = build(client, "mobilenet_v1")

        def send() -> None:
            with server.client() as other, pytest.raises(httpx.HTTPError):
                put(other, made)

        sending = threading.Thread(target=send)
        sending.start()
        poll(lambda: any(name.endswith(".npy") for name in calibrations(home)))
        worker = server.worker_pid()
    os.kill(server.process.pid, signal.SIGKILL)
    server.wait()
    sending.join()
    poll(lambda: not Path(f"/proc/{worker}").exists())
    again = Server(home)
    with again.client() as client:
        assert client.get("/v1/models").json()["models"] == []
    again.end()
    assert calibrations(home) == set()
    shutil.rmtree(home)


def test_a_worker_that_dies_of_it_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    server = Server(home)
    with server.client() as client:
        made = build(client, "mobilenet_v1")
        answers: list[httpx.Response] = []

        def send() -> None:
            with server.client() as other:
                answers.append(put(other, made))

        sending = threading.Thread(target=send)
        sending.start()
        poll(lambda: any(name.endswith(".npy") for name in calibrations(home)))
        # A worker that ends before the load is sent is only replaced.
        poll(lambda: "zoo_cache_models 1.0" in client.get("/metrics").text)
        os.kill(server.worker_pid(), signal.SIGKILL)
        sending.join()
        (answer,) = answers
        assert (answer.status_code, answer.json()["title"]) == (
            503,
            "The worker died while computing",
        )
        assert calibrations(home) == set()
    server.end()


def test_a_client_that_leaves_meanwhile_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    server = Server(home)
    with server.client() as client:
        made = build(client, "mobilenet_v1")
        with server.client() as other:
            other.timeout = httpx.Timeout(60, read=0.01)
            with pytest.raises(httpx.ReadTimeout):
                put(other, made)
        server.wait_for("PUT /v1/models/fast 499")
        assert calibrations(home) == set()
        assert client.get("/v1/models").json()["models"] == []
        # What it had begun to load leaves the memory.
        poll(lambda: "zoo_cache_models 0.0" in client.get("/metrics").text)
    server.end()
