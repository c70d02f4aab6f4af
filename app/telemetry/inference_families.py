"""The metrics of inference that Triton's dashboards know, and the sizes of batches."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, UnknownMetricFamily
from prometheus_client.metrics_core import Metric

from app.telemetry.statistics import ModelStatistics

_LABELS = ("model", "version")
_COUNTS: dict[str, tuple[str, Callable[[ModelStatistics], int]]] = {
    "nv_inference_request_success": (
        "Inference requests that were answered.",
        lambda model: model.success.count,
    ),
    "nv_inference_count": (
        "Rows of the inference requests that were answered.",
        lambda model: model.inference_count,
    ),
    "nv_inference_exec_count": (
        "Runs of the network; one run may answer many requests.",
        lambda model: model.execution_count,
    ),
    "nv_inference_request_duration_us": (
        "Microseconds of the requests that were answered, from end to end.",
        lambda model: model.success.ns // 1000,
    ),
    "nv_inference_queue_duration_us": (
        "Microseconds that they waited.",
        lambda model: model.phases["queue"].ns // 1000,
    ),
    "nv_inference_compute_input_duration_us": (
        "Microseconds that their input took to read and copy.",
        lambda model: model.phases["compute_input"].ns // 1000,
    ),
    "nv_inference_compute_infer_duration_us": (
        "Microseconds that the network took.",
        lambda model: model.phases["compute_infer"].ns // 1000,
    ),
    "nv_inference_compute_output_duration_us": (
        "Microseconds that their output took to copy and write.",
        lambda model: model.phases["compute_output"].ns // 1000,
    ),
}
_BATCH_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def inference_families(
    models: Sequence[ModelStatistics], waiting: Mapping[tuple[str, str], int]
) -> Iterator[Metric]:
    """Yield what became of the requests, and how many wait.

    The library's counters end in `_total`, and Triton's do not: so their type is unknown.
    """
    for name, (text, value) in _COUNTS.items():
        family = UnknownMetricFamily(name, text, labels=_LABELS)
        for model in models:
            family.add_metric((model.name, model.version), value(model))
        yield family
    yield _failures(models)
    # With zeros for the models that nothing waits for.
    yield from _waiting({(model.name, model.version): 0 for model in models} | dict(waiting))


def batch_family(sizes: Mapping[int, int]) -> Metric:
    """Return how many batches there were, by their rows."""
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
        "Inference requests that wait for a place in a batch.",
        labels=_LABELS,
    )
    depth = GaugeMetricFamily(
        "zoo_queue_depth",
        "Inference requests that wait for a place in a batch, over a model's versions.",
        labels=("model",),
    )
    by_name: dict[str, int] = {}
    for (name, version), count in waiting.items():
        pending.add_metric((name, version), count)
        by_name[name] = by_name.get(name, 0) + count
    for name, count in by_name.items():
        depth.add_metric((name,), count)
    yield from (pending, depth)
