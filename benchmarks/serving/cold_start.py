"""How long after its start the service answers, and how much memory its processes take then."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.serving import service
from benchmarks.serving.exchange import http_request
from benchmarks.serving.processes import Server, proportional_kib
from benchmarks.serving.workload import NETWORKS, tensor

_STARTS = 3
# Of an architecture whose summary is long.
_SPEC: Mapping[str, Any] = {"architecture": "inception_v3", "params": {"num_classes": 1001}}
_NETWORK = NETWORKS["mobilenet_v1"]
_LARGE: Mapping[str, Any] = {"architecture": "vgg_16"}
# Answers before the memory is measured.
_ANSWERS = 100


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Seconds from the start of the process, in the median of some starts."""

    summary_s: float
    ready_s: float
    answer_s: float
    large_answer_s: float  # in starts of its own
    memory_mb: float  # of all processes, with one network
    before_ready: bool  # every time, the summary came while the worker was not ready


def measure_cold_start() -> ColdStart:
    """Start the service some times."""
    starts = [_once() for _ in range(_STARTS)]
    return ColdStart(
        *(
            statistics.median(figures)
            for figures in zip(*(start for start, _ in starts), strict=True)
        ),
        before_ready=all(early for _, early in starts),
    )


def _once() -> tuple[tuple[float, float, float, float, float], bool]:
    with service.started_service() as server:
        service.await_answer(server, http_request("GET", "/healthz"))
        build = service.make_build(server, _SPEC)
        service.get_json(server, f"/v1/builds/{build}/summary")
        summary = time.perf_counter() - server.started
        early = not service.is_ready(server)
        service.await_ready(server)
        ready = time.perf_counter() - server.started
        answer, request = _first_answer(server, _NETWORK)
        for _ in range(_ANSWERS):
            service.await_answer(server, request)
        kib = sum(map(proportional_kib, service.roles(server)))
    with service.started_service() as server:
        service.await_answer(server, http_request("GET", "/healthz"))
        large, _ = _first_answer(server, _LARGE)
    return (summary, ready, answer, large, kib * 1024 / 1e6), early


def _first_answer(server: Server, spec: Mapping[str, Any]) -> tuple[float, bytes]:
    """Return when the first answer of a network comes, and the request."""
    build = service.make_build(server, spec)
    shape = service.get_json(server, f"/v1/builds/{build}")["input_shape"]
    request = service.infer_request(build, tensor(tuple(shape)))
    service.await_answer(server, request)
    return time.perf_counter() - server.started, request
