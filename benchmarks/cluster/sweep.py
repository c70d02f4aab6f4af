"""A sweep of many rows, traced beside the API and on a cluster."""

import json
import time
from dataclasses import dataclass

from benchmarks.serving import service
from benchmarks.serving.exchange import ask, http_request
from benchmarks.serving.processes import Server

_TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Swept:
    """A sweep: the seconds that it took, and its rows as NDJSON."""

    seconds: float
    rows: bytes


def sweep(server: Server, rows: int, classes: int) -> Swept:
    """Sweep over the number of classes, from one on."""
    document = {
        "spec": {"architecture": "mobilenet_v2"},
        "axes": {"/params/num_classes": {"start": classes, "stop": classes + rows}},
    }
    headers = {"Content-Type": "application/json", "Accept": "application/x-ndjson"}
    body = json.dumps(document).encode()
    request = http_request("POST", "/v1/sweeps", body=body, headers=headers)
    began = time.perf_counter()
    answer = ask(server.address, request, _TIMEOUT_SECONDS)
    seconds = time.perf_counter() - began
    if answer.status != 200:
        raise service.ServiceError(f"Status {answer.status}: {answer.body[:300]!r}")
    return Swept(seconds, answer.body)
