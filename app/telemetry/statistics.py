"""Counts the outcomes of inference requests, by model and version.

The event loop writes them when an inference ends. The Open Inference Protocol reads them as its
statistics, and `/metrics` as the `nv_inference_*` metrics.
"""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

from pydantic import Field
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.store.builds import is_build_id

FailureReason = Literal["REJECTED", "CANCELED", "BACKEND", "OTHER"]
FAILURE_REASONS: tuple[FailureReason, ...] = get_args(FailureReason)

# The phases of a request: the protocol's names, and ours.
PHASES = {
    "queue": "queue",
    "compute_input": "input",
    "compute_infer": "compute",
    "compute_output": "output",
}
# The phases that a batch goes through once, for all its requests.
BATCH_PHASES = ("compute_input", "compute_infer", "compute_output")

# Every build is also a model, named by its id. Without a limit, thousands of builds would stay in
# memory and become thousands of time series.
_MAX_MODELS = 512


class V2DurationBody(TypedDict):
    """How often something happened, and how long it took in all."""

    count: int
    ns: int


class V2BatchPhasesBody(TypedDict):
    """The phases of a batch."""

    compute_input: V2DurationBody
    compute_infer: V2DurationBody
    compute_output: V2DurationBody


class V2RequestPhasesBody(V2BatchPhasesBody):
    """The phases of requests, and how they ended; there is no cache."""

    success: V2DurationBody
    fail: V2DurationBody
    queue: V2DurationBody
    cache_hit: V2DurationBody
    cache_miss: V2DurationBody


class V2BatchStatisticsBody(V2BatchPhasesBody):
    """The batches of one size."""

    batch_size: int


class V2MemoryUsageBody(TypedDict):
    """The memory that a version takes on a device."""

    type: Literal["CPU", "GPU"]
    id: int
    byte_size: int


class V2ModelStatisticsBody(TypedDict):
    """What became of the requests of one version of a model."""

    name: str
    version: str
    last_inference: Annotated[int, Field(description="Milliseconds since 1970; 0 if none.")]
    inference_count: Annotated[int, Field(description="Rows.")]
    execution_count: Annotated[int, Field(description="Batches.")]
    inference_stats: V2RequestPhasesBody
    response_stats: Annotated[dict[str, Any], Field(description="Empty: nothing is streamed.")]
    batch_stats: list[V2BatchStatisticsBody]
    memory_usage: list[V2MemoryUsageBody]


@dataclass(slots=True)
class Duration:
    """How often something happened, and how long it took in total."""

    count: int = 0
    ns: int = 0

    def add(self, seconds: float) -> None:
        """Count one more occurrence."""
        self.count += 1
        self.ns += round(seconds * 1e9)

    def document(self) -> V2DurationBody:
        """Return the protocol's form."""
        return {"count": self.count, "ns": self.ns}


def _durations(phases: Mapping[str, str] | tuple[str, ...]) -> dict[str, Duration]:
    return {phase: Duration() for phase in phases}


@dataclass(slots=True)
class ModelStatistics:
    """The outcomes of the requests to one version of a model."""

    name: str
    version: str
    last_inference_ms: int = 0
    inference_count: int = 0  # rows
    execution_count: int = 0  # runs of the network
    success: Duration = field(default_factory=Duration)
    failures: dict[str, Duration] = field(default_factory=lambda: _durations(FAILURE_REASONS))
    phases: dict[str, Duration] = field(default_factory=lambda: _durations(PHASES))
    batches: dict[int, dict[str, Duration]] = field(default_factory=dict)

    def document(self) -> V2ModelStatisticsBody:
        """Return the protocol's form; the caller adds the memory, which only the engine knows."""
        fail = Duration(
            sum(each.count for each in self.failures.values()),
            sum(each.ns for each in self.failures.values()),
        )
        return {
            "name": self.name,
            "version": self.version,
            "last_inference": self.last_inference_ms,
            "inference_count": self.inference_count,
            "execution_count": self.execution_count,
            "inference_stats": {
                "success": self.success.document(),
                "fail": fail.document(),
                "queue": self.phases["queue"].document(),
                **_batch_phases(self.phases),
                "cache_hit": Duration().document(),
                "cache_miss": Duration().document(),
            },
            "response_stats": {},
            "batch_stats": [
                {"batch_size": rows, **_batch_phases(phases)}
                for rows, phases in sorted(self.batches.items())
            ],
            "memory_usage": [],
        }


def _batch_phases(phases: Mapping[str, Duration]) -> V2BatchPhasesBody:
    return {
        "compute_input": phases["compute_input"].document(),
        "compute_infer": phases["compute_infer"].document(),
        "compute_output": phases["compute_output"].document(),
    }


class Statistics:
    """The statistics of the models used last; not thread-safe, they belong to the event loop.

    Only models that exist may be counted, because their names become labels of metrics.
    """

    def __init__(
        self, max_models: int = _MAX_MODELS, clock: Callable[[], float] = time.time
    ) -> None:
        self._max_models = max_models
        self._clock = clock
        self._models: OrderedDict[tuple[str, str], ModelStatistics] = OrderedDict()
        # Over all models, including those that were dropped.
        self.batch_sizes: Counter[int] = Counter()

    def succeeded(
        self, name: str, version: str, *, rows: int, seconds: Mapping[str, float]
    ) -> None:
        """Count a successful request.

        `seconds` has total, queue, input, compute and output; a phase left out took no time.
        """
        model = self._model(name, version)
        model.last_inference_ms = round(self._clock() * 1000)
        model.inference_count += rows
        model.success.add(seconds.get("total", 0.0))
        for phase, ours in PHASES.items():
            model.phases[phase].add(seconds.get(ours, 0.0))

    def failed(self, name: str, version: str, *, reason: FailureReason, seconds: float) -> None:
        """Count a failed request."""
        self._model(name, version).failures[reason].add(seconds)

    def executed(
        self, counted_as: tuple[str, str], rows: int, seconds: Mapping[str, float]
    ) -> None:
        """Count one run of the network on a batch; `seconds` has input, compute and output.

        `counted_as` is the name and the version of a model.
        """
        model = self._model(*counted_as)
        model.execution_count += 1
        self.batch_sizes[rows] += 1
        batch = model.batches.get(rows)
        if batch is None:
            batch = model.batches[rows] = _durations(BATCH_PHASES)
        for phase in BATCH_PHASES:
            batch[phase].add(seconds.get(PHASES[phase], 0.0))

    def forget(self, name: str, version: str | None = None) -> None:
        """Drop the statistics of a removed model: of one version, or of all."""
        for key in [key for key in self._models if _fits(key, name, version)]:
            del self._models[key]

    def model_stats(
        self, name: str | None = None, version: str | None = None
    ) -> list[V2ModelStatisticsBody]:
        """Return the protocol's `model_stats` of all models, of one model or of one version.

        A version that is named is always included, with zeros before its first request.
        """
        documents = [
            model.document()
            for key, model in sorted(self._models.items())
            if _fits(key, name, version)
        ]
        if not documents and name is not None and version is not None:
            return [ModelStatistics(name, version).document()]
        return documents

    def __iter__(self) -> Iterator[ModelStatistics]:
        return iter(self._models.values())

    def _model(self, name: str, version: str) -> ModelStatistics:
        key = (name, version)
        model = self._models.get(key)
        if model is None:
            while len(self._models) >= self._max_models:
                del self._models[self._next_to_drop()]
            model = self._models[key] = ModelStatistics(name, version)
        self._models.move_to_end(key)
        return model

    def _next_to_drop(self) -> tuple[str, str]:
        """Return the least recently used model, builds without a name before named models."""
        unnamed = (key for key in self._models if is_build_id(key[0]))
        return next(unnamed, None) or next(iter(self._models))


def _fits(key: tuple[str, str], name: str | None, version: str | None) -> bool:
    return name in (None, key[0]) and version in (None, key[1])
