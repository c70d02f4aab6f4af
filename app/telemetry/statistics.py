"""What became of the inference requests, by model and version.

Written by whoever runs an inference, on the event loop; read as the statistics of the Open
Inference Protocol, and by `/metrics` as the `nv_inference_*` family.
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

# The protocol's names of a request's phases, and ours.
PHASES = {
    "queue": "queue",
    "compute_input": "input",
    "compute_infer": "compute",
    "compute_output": "output",
}
# Those that a batch has, however many requests are in it.
BATCH_PHASES = ("compute_input", "compute_infer", "compute_output")

# Every build is a model too, by its id: a sweep of thousands of builds must not stay here, nor
# become that many time series.
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
    """How often something happened, and how long it took together."""

    count: int = 0
    ns: int = 0

    def add(self, seconds: float) -> None:
        """Count it once more."""
        self.count += 1
        self.ns += round(seconds * 1e9)

    def document(self) -> V2DurationBody:
        """Return the protocol's form."""
        return {"count": self.count, "ns": self.ns}


def _durations(phases: Mapping[str, str] | tuple[str, ...]) -> dict[str, Duration]:
    return {phase: Duration() for phase in phases}


@dataclass(slots=True)
class ModelStatistics:
    """What became of one version of a model's requests."""

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
        """Return the protocol's form; the engine knows the memory, and whoever answers adds it."""
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
    """The statistics of the models that were used last; of one thread, the event loop's.

    Only models that exist may be named here: the names become labels.
    """

    def __init__(
        self, max_models: int = _MAX_MODELS, clock: Callable[[], float] = time.time
    ) -> None:
        self._max_models = max_models
        self._clock = clock
        self._models: OrderedDict[tuple[str, str], ModelStatistics] = OrderedDict()
        # Over all models, and of those that are forgotten as well.
        self.batch_sizes: Counter[int] = Counter()

    def succeeded(
        self, name: str, version: str, *, rows: int, seconds: Mapping[str, float]
    ) -> None:
        """Count a request that was answered.

        `seconds` has total, queue, input, compute and output; one that is left out took no time.
        """
        model = self._model(name, version)
        model.last_inference_ms = round(self._clock() * 1000)
        model.inference_count += rows
        model.success.add(seconds.get("total", 0.0))
        for phase, ours in PHASES.items():
            model.phases[phase].add(seconds.get(ours, 0.0))

    def failed(self, name: str, version: str, *, reason: FailureReason, seconds: float) -> None:
        """Count a request that was not."""
        self._model(name, version).failures[reason].add(seconds)

    def executed(self, label: tuple[str, str], rows: int, seconds: Mapping[str, float]) -> None:
        """Count one run of the network on a batch; `seconds` has input, compute and output.

        `label` is the name and the version of a model.
        """
        model = self._model(*label)
        model.execution_count += 1
        self.batch_sizes[rows] += 1
        batch = model.batches.get(rows)
        if batch is None:
            batch = model.batches[rows] = _durations(BATCH_PHASES)
        for phase in BATCH_PHASES:
            batch[phase].add(seconds.get(PHASES[phase], 0.0))

    def forget(self, name: str, version: str | None = None) -> None:
        """Forget a model that was removed: one version, or all."""
        for key in [key for key in self._models if _fits(key, name, version)]:
            del self._models[key]

    def model_stats(
        self, name: str | None = None, version: str | None = None
    ) -> list[V2ModelStatisticsBody]:
        """Return the protocol's `model_stats`: of all models, of one, or of one version.

        A version that is asked for is always there, with zeros before its first request.
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
                del self._models[self._least_wanted()]
            model = self._models[key] = ModelStatistics(name, version)
        self._models.move_to_end(key)
        return model

    def _least_wanted(self) -> tuple[str, str]:
        """Return the model used longest ago; one that nobody gave a name, where there is one."""
        unnamed = (key for key in self._models if is_build_id(key[0]))
        return next(unnamed, None) or next(iter(self._models))


def _fits(key: tuple[str, str], name: str | None, version: str | None) -> bool:
    return name in (None, key[0]) and version in (None, key[1])
