"""The service's metrics, in a registry of their own, so that a process can run two services.

Every label has few values: route templates, models that exist, architectures of the catalogue, our
own reasons. A label never holds text that a client made up.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

from app.engine import EngineFigures
from app.telemetry.exposition import Exposition
from app.telemetry.statistics import Statistics
from app.version import VERSION
from model_zoo import ZooError, list_architectures

# The buckets that OpenTelemetry specifies for http.server.request.duration.
_HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
# A trace takes milliseconds; a plan over a large checkpoint takes seconds, as does anything on a
# busy machine.
_BUILD_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE")
)
# These start at 0: of a counter that appears with its first rejection, Prometheus would see no
# increase.
_REASONS = (
    "concurrency",
    "client-concurrency",
    "token-rate",
    "token-concurrency",
    "queue-full",
    "bodies",
    "traces",
    "deadline-passed",
    "out-of-memory",
    "worker-died",
    "worker-unavailable",
    "store-full",
    "store-unavailable",
)
# What becomes of a posted spec that is not refused.
BuildOutcome = Literal["created", "existing", "traced"]
_OTHER_METHOD = "_OTHER"  # OpenTelemetry's name for it


class Metrics:
    """Counts events as they happen; `exposition` adds the figures that are read on request."""

    def __init__(
        self,
        statistics: Statistics | None = None,
        figures: Callable[[], EngineFigures] = EngineFigures,
    ) -> None:
        registry = CollectorRegistry()
        info = Gauge(
            "zoo_build_info", "The service's version; always 1.", ["version"], registry=registry
        )
        info.labels(VERSION).set(1)
        self._requests = Histogram(
            "http_server_request_duration_seconds",
            "Duration of requests, from the headers to the last byte of the answer.",
            ["http_request_method", "http_route", "http_response_status_code"],
            buckets=_HTTP_SECONDS,
            registry=registry,
        )
        self._active = Gauge(
            "http_server_active_requests",
            "Requests in progress.",
            ["http_request_method"],
            registry=registry,
        )
        self._rejected = Counter(
            "zoo_rejected",
            "Requests rejected or given up for lack of capacity, of a worker or of time.",
            ["reason"],
            registry=registry,
        )
        for reason in _REASONS:
            self._rejected.labels(reason)
        self._builds = Counter(
            "zoo_builds",
            "Posted specs, by outcome: created, existing, traced (not kept) or refused.",
            ["arch", "outcome"],
            registry=registry,
        )
        self._build_seconds = Histogram(
            "zoo_build_duration_seconds",
            "Time to trace a spec, plan its weights and store it, if it is kept.",
            ["arch"],
            buckets=_BUILD_SECONDS,
            registry=registry,
        )
        # Cached by the values of their labels: the library's own lookup takes microseconds.
        self._active_of: dict[str, Gauge] = {}
        self._requests_of: dict[tuple[str, str, int], Histogram] = {}
        ProcessCollector(registry=registry)
        self.exposition = Exposition(registry, statistics or Statistics(), figures)

    def request_began(self, method: str) -> None:
        """Count a request as in progress."""
        active = self._active_of.get(method)
        if active is None:
            method = _known_method(method)
            active = self._active_of[method] = self._active.labels(method)
        active.inc()

    def request_ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request by its route's template; status 0 means that no response started."""
        method = _known_method(method)
        self._active_of[method].dec()
        requests = self._requests_of.get((method, route, status))
        if requests is None:
            requests = self._requests.labels(method, route, status or "")
            self._requests_of[method, route, status] = requests
        requests.observe(seconds)

    def rejected(self, reason: str) -> None:
        """Count a request that was rejected, but might succeed at another time."""
        self._rejected.labels(reason).inc()

    @contextmanager
    def refusals(self, architecture: object) -> Iterator[None]:
        """Count a build that is rejected inside the block.

        The architecture is the client's text and becomes a label only if the catalogue has it.
        """
        try:
            yield
        except ZooError:
            known = isinstance(architecture, str) and architecture in list_architectures()
            self._builds.labels(architecture if known else "", "refused").inc()
            raise

    def built(self, architecture: str, outcome: BuildOutcome, seconds: Mapping[str, float]) -> None:
        """Count a build that was stored, existed already or is not kept; `seconds` by phase."""
        self._builds.labels(architecture, outcome).inc()
        self._build_seconds.labels(architecture).observe(
            sum(seconds.get(phase, 0.0) for phase in ("trace", "plan", "store"))
        )


def _known_method(method: str) -> str:
    return method if method in _METHODS else _OTHER_METHOD
