"""Writes the metrics in the formats that Prometheus reads."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from app.engine import EngineFigures
from app.telemetry.engine_families import engine_families
from app.telemetry.inference_families import batch_family, inference_families
from app.telemetry.statistics import ModelStatistics, Statistics

FORMATS = {
    "text": "text/plain; version=0.0.4; charset=utf-8",
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
}


class Exposition:
    """Writes the metrics in a thread, since thousands of lines take tens of milliseconds.

    The thread has no other work, so that metrics are available while all other threads are busy.
    Requests at the same time share one result, so that frequent scrapes do not pile up.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        statistics: Statistics,
        figures: Callable[[], EngineFigures],
    ) -> None:
        self._registry = registry
        self._statistics = statistics
        self._figures = figures
        self._thread = ThreadPoolExecutor(1, "metrics")
        self._writing: dict[str, asyncio.Future[bytes]] = {}

    async def write(self, format_name: str) -> bytes:
        """Return all metrics in one of the formats."""
        writing = self._writing.get(format_name)
        if writing is None:
            loop = asyncio.get_running_loop()
            writing = loop.run_in_executor(self._thread, _text, self._snapshot(), format_name)
            writing.add_done_callback(lambda _: self._writing.pop(format_name, None))
            self._writing[format_name] = writing
        # Shielded: a client that disconnects must not cancel the result that others await.
        return await asyncio.shield(writing)

    def text(self, format_name: str = "text") -> str:
        """Return all metrics in one of the formats, written in this thread."""
        return _text(self._snapshot(), format_name).decode()

    def _snapshot(self) -> "_Snapshot":
        """Return a copy of what belongs to the event loop, for the thread to read."""
        return _Snapshot(
            self._registry,
            list(self._statistics),
            dict(self._statistics.batch_sizes),
            self._figures(),
        )


class _Snapshot(Collector):
    def __init__(
        self,
        registry: CollectorRegistry,
        models: list[ModelStatistics],
        batch_sizes: Mapping[int, int],
        figures: EngineFigures,
    ) -> None:
        self._registry = registry
        self._models = models
        self._batch_sizes = batch_sizes
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Yield every family of metrics."""
        yield from self._registry.collect()
        yield from engine_families(self._figures)
        yield from inference_families(self._models, self._figures.waiting)
        yield batch_family(self._batch_sizes)


def _text(snapshot: _Snapshot, format_name: str) -> bytes:
    generate = generate_openmetrics if format_name == "openmetrics" else generate_latest
    written: bytes = generate(snapshot)
    return written
