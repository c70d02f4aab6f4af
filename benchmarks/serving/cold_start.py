"""How long after its start the service answers: builds, then readiness, then inference."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.serving import service
from benchmarks.serving.exchange import http_request
from benchmarks.serving.workload import NETWORKS, tensor

_STARTS = 3
# Of an architecture whose summary is long.
_SPEC: Mapping[str, Any] = {"architecture": "inception_v3", "params": {"num_classes": 1001}}
_NETWORK = "mobilenet_v1"


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Seconds from the start of the process, in the median of some starts."""

    summary_s: float
    ready_s: float
    answer_s: float
    before_ready: bool  # every time, the summary came while the worker was not ready


def measure_cold_start() -> ColdStart:
    """Start the service some times."""
    starts = [_once() for _ in range(_STARTS)]
    summary, ready, answer = (
        statistics.median(times) for times in zip(*(times for times, _ in starts), strict=True)
    )
    return ColdStart(summary, ready, answer, all(early for _, early in starts))


def _once() -> tuple[tuple[float, float, float], bool]:
    with service.started_service() as server:
        service.await_answer(server, http_request("GET", "/healthz"))
        build = service.make_build(server, _SPEC)
        service.get_json(server, f"/v1/builds/{build}/summary")
        summary = time.perf_counter() - server.started
        early = not service.is_ready(server)
        service.await_ready(server)
        ready = time.perf_counter() - server.started
        spec = NETWORKS[_NETWORK]
        rows = tensor(tuple(spec["input_shape"]))
        request = service.infer_request(service.make_build(server, spec), rows)
        service.await_answer(server, request)
        return (summary, ready, time.perf_counter() - server.started), early
