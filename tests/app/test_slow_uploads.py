"""Uploads that trickle end, and lock out nobody meanwhile."""

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from starlette.testclient import TestClient
from zoo_server import Server, poll

from app.errors import ServiceError
from app.http.uploads import _LeastRate
from app.serving.upload_room import Upload, UploadRoom
from app.settings import Settings
from model_zoo import CheckpointStore

GIB = 2**30


def weights(value: float) -> bytes:
    return safetensors.numpy.save({"w": np.full(1000, value, np.float32)})


def trickle(address: tuple[str, int], begins: threading.Event) -> bytes:
    """Send bytes, after a while one now and then, until the service answers; return the answer."""
    head = b"POST /v1/weights HTTP/1.1\r\nHost: zoo\r\nContent-Length: %d\r\n\r\n" % (2 * GIB)
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(head)
        while not select.select([connection], [], [], 0.05)[0]:
            connection.sendall(b"x" * (1 if begins.is_set() else 100_000))
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                answer += chunk
    return answer


def test_uploads_that_trickle_end_and_lock_out_nobody(tmp_path: Path) -> None:
    server = Server(tmp_path, min_upload_bytes_s=1000, body_timeout_s=2, drain_s=0)
    host, port = server.url.removeprefix("http://").split(":")
    with server.client() as client, ThreadPoolExecutor(16) as pool:
        begins = threading.Event()
        answers = [pool.submit(trickle, (host, int(port)), begins) for _ in range(16)]
        poll(lambda: len(client.get("/v1/weights").json()["uploads"]) == 16)
        assert client.post("/v1/weights", content=weights(1.0)).status_code == 201
        begins.set()
        for each in answers:
            answer = each.result(60)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert (
                b'"detail": "The upload fell 2 s (ZOO_BODY_TIMEOUT_S) behind the least rate of '
                b"1000 bytes a second (ZOO_MIN_UPLOAD_BYTES_S); " in answer
            )
        poll(lambda: client.get("/v1/weights").json()["uploads"] == [])
    assert server.end() == 0


def test_a_pause_is_made_up_for() -> None:
    rate = _LeastRate(100, 30.0)
    rate.count(25.0, 100)
    assert rate.slack_s == 6.0
    rate.count(1.0, 100)
    assert rate.slack_s == 6.0
    rate.count(1.0, 1000)
    assert rate.slack_s == 15.0


def test_a_fast_start_gives_no_credit() -> None:
    rate = _LeastRate(100, 30.0)
    rate.count(1.0, 10**9)
    assert rate.slack_s == 30.0
    rate.count(29.0, 1)
    assert rate.slack_s == pytest.approx(1.01)


def test_without_a_least_rate_only_silence_ends_an_upload() -> None:
    rate = _LeastRate(0, 30.0)
    rate.count(29.0, 1)
    assert rate.slack_s == 30.0


@pytest.fixture
def room(tmp_path: Path) -> UploadRoom:
    return UploadRoom(Settings(max_checkpoints_bytes=100), CheckpointStore(tmp_path), None)


def test_a_declared_size_reserves_nothing(room: UploadRoom) -> None:
    first, second = Upload("a", 100), Upload("b", 100)
    with room.receiving(first), room.receiving(second):
        room.check_declared(first)
        room.check_declared(second)
        room.reserve(first, 1)
        with pytest.raises(ServiceError) as refusal:
            room.check_declared(Upload("c", 100))
    assert refusal.value.detail == (
        "0 bytes of weights are stored, uploads in progress take 1, and 100 more do not fit; the "
        "limit is 100 (ZOO_MAX_CHECKPOINTS_BYTES). DELETE /v1/weights/{id} makes room."
    )


def test_of_two_uploads_that_meet_at_the_limit_one_goes_on(room: UploadRoom) -> None:
    first, second = Upload("a", None), Upload("b", None)
    with room.receiving(first), room.receiving(second):
        room.reserve(first, 50)
        room.reserve(second, 50)
        with pytest.raises(ServiceError, match="1 more do not fit"):
            room.reserve(second, 1)
        room.reserve(first, 50)


def test_removed_weights_make_room_for_an_upload(make_client: Callable[..., TestClient]) -> None:
    size = len(weights(1.0)) + 1000
    client = make_client(max_checkpoints_bytes=size)
    kept = client.post("/v1/weights", content=weights(1.0)).json()["id"]
    assert client.post("/v1/weights", content=weights(2.0)).status_code == 503
    assert client.delete(f"/v1/weights/{kept}").status_code == 204
    assert client.post("/v1/weights", content=weights(2.0)).status_code == 201
