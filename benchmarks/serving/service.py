"""This service as the serving benchmarks start and ask it."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from benchmarks.serving.exchange import Answer, ask, http_request
from benchmarks.serving.processes import (
    Server,
    children,
    command_line,
    free_port,
    running,
)
from benchmarks.serving.workload import Array

# Between two questions whether the service is there yet.
POLL_SECONDS = 0.02
_READY_SECONDS = 180.0


class ServiceError(Exception):
    """The service answered otherwise than it has to."""


@contextmanager
def started_service(**settings: str) -> Iterator[Server]:
    """Start the program, with settings by the names of their variables less `ZOO_`."""
    port = free_port()
    environment = {f"ZOO_{name}": value for name, value in settings.items()}
    with running([sys.executable, "-m", "app"], {"ZOO_PORT": str(port), **environment}, port) as it:
        yield it


def send_json(server: Server, method: str, path: str, document: object) -> Any:
    """Return the answer's document. Raises: ServiceError for another status than 200 or 201."""
    return send(server, method, path, json.dumps(document).encode(), "application/json")


def send(
    server: Server,
    method: str,
    path: str,
    body: bytes,
    content_type: str = "application/octet-stream",
) -> Any:
    """Return the answer's document. Raises: ServiceError for another status than 200 or 201."""
    headers = {"Content-Type": content_type}
    return _read(ask(server.address, http_request(method, path, body=body, headers=headers)))


def get_json(server: Server, path: str) -> Any:
    """Return the answer's document. Raises: ServiceError for another status than 200."""
    return _read(ask(server.address, http_request("GET", path)))


def text(server: Server, path: str) -> str:
    """Return the answer's text. Raises: ServiceError for another status than 200."""
    answer = ask(server.address, http_request("GET", path))
    if answer.status != 200:
        raise ServiceError(f"Status {answer.status or 'none'}: {answer.body[:300]!r}")
    return answer.body.decode()


def _read(answer: Answer) -> Any:
    if answer.status not in (200, 201):
        raise ServiceError(f"Status {answer.status or 'none'}: {answer.body[:300]!r}")
    return json.loads(answer.body) if answer.body else None


def is_ready(server: Server) -> bool:
    """Return whether the service says that it computes."""
    ready: bool = get_json(server, "/healthz")["ready"]
    return ready


def await_answer(server: Server, request: bytes, *, timeout_s: float = _READY_SECONDS) -> Answer:
    """Ask until the answer is 200, and return it.

    Raises: PeerError if the program ends, TimeoutError
    """
    deadline = time.perf_counter() + timeout_s
    while time.perf_counter() < deadline:
        server.check()
        try:
            answer = ask(server.address, request, timeout_s)
        except OSError:
            answer = Answer(0)
        if answer.status == 200:
            return answer
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"No 200 within {timeout_s:g} s:\n{server.last_lines()}")


def await_ready(server: Server) -> None:
    """Wait until the service says that it computes."""
    await_answer(server, http_request("GET", "/healthz"))
    deadline = time.perf_counter() + _READY_SECONDS
    while not is_ready(server):
        server.check()
        if time.perf_counter() > deadline:
            raise TimeoutError(f"Not ready within {_READY_SECONDS:g} s:\n{server.last_lines()}")
        time.sleep(POLL_SECONDS)


def make_build(server: Server, spec: Mapping[str, Any]) -> str:
    """Return the id of a build."""
    build_id: str = send_json(server, "POST", "/v1/builds", spec)["id"]
    return build_id


def infer_request(model: str, rows: Array) -> bytes:
    """Return a request of the Open Inference Protocol with a binary tensor in and out."""
    data = rows.tobytes()
    head = {
        "inputs": [
            {
                "name": "input",
                "shape": list(rows.shape),
                "datatype": "FP32",
                "parameters": {"binary_data_size": len(data)},
            }
        ],
        "outputs": [{"name": "output", "parameters": {"binary_data": True}}],
    }
    text = json.dumps(head).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(text)),
    }
    path = f"/v2/models/{model}/infer"
    return http_request("POST", path, body=text + data, headers=headers)


def numbers_of(answer: Answer) -> Array:
    """Return the one binary tensor of an answer, which follows the JSON."""
    _, end = json.JSONDecoder().raw_decode(answer.body.decode("latin-1"))
    return np.frombuffer(answer.body[end:], np.float32)


def picture_request(build: str, picture: bytes) -> bytes:
    """Return a request for the most probable classes of a picture."""
    path, headers = f"/v1/builds/{build}/predict", {"Content-Type": "image/jpeg"}
    return http_request("POST", path, body=picture, headers=headers)


def worker_pid(server: Server) -> int:
    """Return the process that computes."""
    (worker,) = [pid for pid, role in roles(server).items() if role == "worker"]
    return worker


def roles(server: Server) -> dict[int, str]:
    """Return the role of each process of the service: `api`, or that of `ProcessRole`."""
    processes = {server.pid: "api"}
    for pid in children(server.pid):
        command = command_line(pid)
        module = next((part for part in command if part.startswith("app.compute.")), "")
        role = module.rpartition(".")[2]
        # A worker gets its role as the last argument.
        processes[pid] = command[-1] if role == "worker" else role
    return processes
