"""Metrics of the engine: the models in memory, the worker, and the processes beside the API."""

import os
import resource
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from app.engine import EngineFigures

_PAGE_BYTES = resource.getpagesize()
_TICKS = os.sysconf("SC_CLK_TCK")


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
    for role, process_ids in figures.processes.items():
        resident_bytes, seconds = _usage(process_ids)
        memory.add_metric((role,), resident_bytes)
        cpu.add_metric((role,), seconds)
    yield from (memory, cpu)


def _usage(process_ids: Iterable[int]) -> tuple[int, float]:
    """Return the total memory and CPU time of processes; one that has ended counts as zero."""
    pages = ticks = 0
    for process_id in process_ids:
        try:
            text = Path(f"/proc/{process_id}/stat").read_text()
        except OSError:
            continue
        # The name may contain spaces. After it come the fields from 3 on, see proc_pid_stat(5).
        fields = text.rpartition(")")[2].split()
        pages += int(fields[21])  # rss
        ticks += int(fields[11]) + int(fields[12])  # utime, stime
    return pages * _PAGE_BYTES, ticks / _TICKS
