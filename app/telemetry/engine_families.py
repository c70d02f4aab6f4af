"""Metrics of the engine: the models in memory, the worker, and the processes beside the API."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from app.engine import EngineFigures


def engine_families(figures: EngineFigures) -> Iterator[Metric]:
    """Yield the metrics of the models in memory, of the worker and of the processes."""
    yield GaugeMetricFamily("zoo_cache_models", "Models in memory.", figures.models)
    yield GaugeMetricFamily(
        "zoo_cache_bytes", "Bytes of the models in memory.", figures.model_bytes
    )
    evictions = CounterMetricFamily(
        "zoo_cache_evictions", "Models evicted from memory.", labels=("reason",)
    )
    for reason, count in sorted(figures.evictions.items()):
        evictions.add_metric((reason,), count)
    yield evictions
    yield GaugeMetricFamily(
        "zoo_worker_up", "Whether a worker is ready to compute.", int(figures.worker_up)
    )
    yield GaugeMetricFamily(
        "zoo_workers",
        "Workers that are ready to compute: one, one a GPU, or one a node of a cluster.",
        figures.workers,
    )
    yield CounterMetricFamily(
        "zoo_worker_restarts", "Workers that were replaced.", figures.worker_restarts
    )
    yield from _processes(figures)


def _processes(figures: EngineFigures) -> Iterator[Metric]:
    memory = GaugeMetricFamily(
        "zoo_process_resident_memory_bytes",
        "Resident memory of the processes beside the API, by role: `worker`, `tensorflow-worker` "
        "(on a CPU), `reader`, `tracer`.",
        labels=("process",),
    )
    cpu = CounterMetricFamily(
        "zoo_process_cpu_seconds",
        "CPU time of the processes beside the API, by role.",
        labels=("process",),
    )
    for role, usage in figures.processes.items():
        memory.add_metric((role,), usage.resident_bytes)
        cpu.add_metric((role,), usage.cpu_seconds)
    yield from (memory, cpu)
