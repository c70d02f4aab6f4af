"""Metrics of inference, under the names that Triton's dashboards use, and the sizes of batches."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, UnknownMetricFamily
from prometheus_client.metrics_core import Metric

from app.telemetry.statistics import ModelStatistics

_LABELS = ("model", "version")
_COUNTS: dict[str, tuple[str, Callable[[ModelStatistics], int]]] = {
    "nv_inference_request_success": (
        "Successful inference requests.",
        lambda model: model.success.count,
    ),
    "nv_inference_count": (
        "Rows of the successful inference requests.",
        lambda model: model.inference_count,
    ),
    "nv_inference_exec_count": (
        "Runs of the network; one run may answer many requests.",
        lambda model: model.execution_count,
    ),
    "nv_inference_request_duration_us": (
        "End-to-end time of the successful requests, in microseconds.",
        lambda model: model.success.ns // 1000,
    ),
    "nv_inference_queue_duration_us": (
        "Time that they waited in the queue, in microseconds.",
        lambda model: model.phases["queue"].ns // 1000,
    ),
    "nv_inference_compute_input_duration_us": (
        "Time to read and copy their input, in microseconds.",
        lambda model: model.phases["compute_input"].ns // 1000,
    ),
    "nv_inference_compute_infer_duration_us": (
        "Time to run the network for them, in microseconds.",
        lambda model: model.phases["compute_infer"].ns // 1000,
    ),
    "nv_inference_compute_output_duration_us": (
        "Time to copy and write their output, in microseconds.",
        lambda model: model.phases["compute_output"].ns // 1000,
    ),
}
_BATCH_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def inference_families(
    models: Sequence[ModelStatistics], waiting: Mapping[tuple[str, str], int]
) -> Iterator[Metric]:
    """Yield the outcomes of requests, and the number that wait.

    The type of a count is unknown because the library's counters end in `_total`, which Triton's
    names do not.
    """
    for name, (text, value) in _COUNTS.items():
        family = UnknownMetricFamily(name, text, labels=_LABELS)
        for model in models:
            family.add_metric((model.name, model.version), value(model))
        yield family
    yield _failures(models)
    # A model without waiting requests reports zero.
    yield from _waiting({(model.name, model.version): 0 for model in models} | dict(waiting))


def batch_family(sizes: Mapping[int, int]) -> Metric:
    """Return the histogram of batches by their rows."""
    buckets = [
        (f"{bound}.0", sum(count for rows, count in sizes.items() if rows <= bound))
        for bound in _BATCH_ROWS
    ]
    return HistogramMetricFamily(
        "zoo_batch_size",
        "Rows in one run of a network.",
        buckets=[*buckets, ("+Inf", sum(sizes.values()))],
        sum_value=sum(rows * count for rows, count in sizes.items()),
    )


def _failures(models: Sequence[ModelStatistics]) -> Metric:
    family = UnknownMetricFamily(
        "nv_inference_request_failure",
        "Inference requests that failed, by reason: REJECTED, CANCELED, BACKEND or OTHER.",
        labels=(*_LABELS, "reason"),
    )
    for model in models:
        for reason, failed in model.failures.items():
            family.add_metric((model.name, model.version, reason), failed.count)
    return family


def _waiting(waiting: Mapping[tuple[str, str], int]) -> Iterator[Metric]:
    pending = GaugeMetricFamily(
        "nv_inference_pending_request_count",
        "Inference requests waiting for a place in a batch.",
        labels=_LABELS,
    )
    depth = GaugeMetricFamily(
        "zoo_queue_depth",
        "Inference requests waiting for a place in a batch, over all versions of a model.",
        labels=("model",),
    )
    by_name: dict[str, int] = {}
    for (name, version), count in waiting.items():
        pending.add_metric((name, version), count)
        by_name[name] = by_name.get(name, 0) + count
    for name, count in by_name.items():
        depth.add_metric((name,), count)
    yield from (pending, depth)
