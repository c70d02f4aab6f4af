"""The interface between the API and whatever runs networks, and the errors that it raises.

::

    EngineError                  the engine failed, though the request was valid
    ├── QueueFullError           too many requests wait already
    ├── WorkerDiedError          the worker ended during the request; the text says how
    ├── WorkerUnavailableError   no worker came up within the deadline; the text says why
    ├── OutOfMemoryError         the device or the machine has not enough memory
    ├── DeadlineError            the request waited or computed too long
    └── WorkerFaultError         a fault of ours in the worker; its log has the details
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, Self, TypeVar, get_args

import msgspec

from app.arrays import Array, Buffer
from app.settings import Settings

RuntimeName = Literal["auto", "tensorflow", "onnxruntime"]
FloatPrecision = Literal["float32", "bfloat16"]
# ONNX Runtime computes int8, on a CPU.
Precision = Literal["float32", "bfloat16", "int8"]
DeviceName = Literal["cpu", "gpu"]
# On a CPU, TensorFlow has a worker's process of its own.
ProcessRole = Literal["worker", "tensorflow-worker", "reader", "tracer"]
# Why a model has left memory: for another model, on request, or because memory ran out.
UnloadReason = Literal["room", "request", "memory"]
WorkerState = Literal["starting", "ready", "restarting", "stopped"]
LoadState = Literal["unavailable", "loading", "ready", "unloading"]

Result = TypeVar("Result")


class EngineError(Exception):
    """The engine failed, though the request was valid."""


class QueueFullError(EngineError):
    """Too many requests wait already."""

    def __init__(self, message: str, retry_after_s: int = 1, *, reason: str = "queue-full") -> None:
        self.retry_after_s = retry_after_s
        self.reason = reason
        super().__init__(message)


class WorkerDiedError(EngineError):
    """The worker ended during the request."""


class WorkerUnavailableError(EngineError):
    """No worker came up within the request's deadline."""


class OutOfMemoryError(EngineError):
    """The device or the machine has not enough memory."""


class DeadlineError(EngineError):
    """The request waited or computed too long."""


class WorkerFaultError(EngineError):
    """A fault of the service itself, in the worker."""


class DeviceError(Exception):
    """The device in the settings is missing; nothing can start."""


class Task(msgspec.Struct, Generic[Result], frozen=True, tag=True):
    """Work for another process, as it is sent there. `app.tasks` has those of the API."""

    @classmethod
    def result_type(cls) -> Any:
        """Return the type of the result, which a task names in its base: `Task[ResultType]`."""
        (base,) = vars(cls)["__orig_bases__"]
        return get_args(base)[0]


class ReadingTask(Task[Result], frozen=True):
    """Work for a reader process: to read what a client sent."""


class TracingTask(Task[Result], frozen=True):
    """Work for a process that traces: it needs neither a device nor weights."""


class WorkerTask(Task[Result], frozen=True):
    """Work for the process that owns the device."""

    def after(self, seconds: float) -> Self:
        """Return the task once it has waited for some seconds, which its deadlines count.

        Deadlines are seconds that are left: the clocks of two machines have nothing in common.
        """
        return self


@dataclass(frozen=True, slots=True)
class Reply(Generic[Result]):
    """The result of a task, raw buffers, and seconds by phase."""

    result: Result
    buffers: Sequence[Buffer] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A build, and the options that it runs with."""

    build: str
    spec: Mapping[str, Any]
    source_specs: Mapping[str, Any]  # of the builds that its weights come from, by id
    engine: RuntimeName = "auto"
    precision: Precision = "float32"
    pinned: bool = False
    estimated_bytes: int = 0
    # Its rows change each other's outputs, so the requests of others must stay out of a batch.
    uses_batch_statistics: bool = False
    # TensorFlow may compute it faster than ONNX Runtime, so that `auto` tries both.
    may_gain_by_tensorflow: bool = False
    # The digest of the rows that calibrate int8; other precisions have none.
    calibration: str = ""

    @property
    def key(self) -> str:
        """The name of the model in the engine's memory."""
        options = (self.build, self.engine, self.precision, self.calibration)
        return "-".join(option for option in options if option)


@dataclass(frozen=True, slots=True)
class Quantization:
    """What int8 changes, on the rows of the calibration that were held out from it.

    The share of the rows whose best class agrees with float32's is None of a network without
    classes; the seconds are of a row.
    """

    calibration_rows: int
    held_out_rows: int
    largest_difference: float
    agreement: float | None
    seconds: float
    float32_seconds: float

    @property
    def gain(self) -> float:
        """How many times as fast as float32 it is."""
        return self.float32_seconds / self.seconds


@dataclass(frozen=True, slots=True)
class ModelState:
    """Whether a model is in memory, and what was measured when it was loaded."""

    state: LoadState = "unavailable"
    reason: str = ""
    size_bytes: int = 0
    engine: RuntimeName | None = None
    precision: Precision | None = None
    warmed: tuple[int, ...] = ()  # the batch sizes that it has been run at
    # How many batches are computed side by side, and how many rows of several requests in each:
    # one, until it is warmed up.
    lanes: int = 1
    batch_rows: int = 1
    # Between the outputs of two engines or precisions, in units of the largest value.
    difference: float | None = None
    quantization: Quantization | None = None
    measured: Mapping[RuntimeName, float] = field(default_factory=dict)  # seconds a row
    pinned: bool = False
    failed: bool = False  # the last load failed; `reason` says why


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch of inputs: float32, little-endian, row-major."""

    data: Buffer
    count: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Arrays by output, (rows, ...) each; seconds by phase; the number of rows in the batch."""

    arrays: Mapping[str, Array]
    seconds: Mapping[str, float]
    batch_rows: int


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """Whether the engine can compute now, and if not, why."""

    ready: bool
    state: WorkerState
    device: DeviceName | None
    restarts: int
    in_flight: int
    queued: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """What the processes of a role use together."""

    count: int = 0
    resident_bytes: int = 0
    cpu_seconds: float = 0.0

    def __add__(self, other: "ProcessUsage") -> "ProcessUsage":
        return ProcessUsage(
            self.count + other.count,
            self.resident_bytes + other.resident_bytes,
            self.cpu_seconds + other.cpu_seconds,
        )


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """The engine's gauges and counters; counts are since the service started."""

    models: int = 0  # in memory
    model_bytes: int = 0
    evictions: Mapping[UnloadReason, int] = field(default_factory=dict)
    # Requests that wait for a place in a batch, by the model's name and version.
    waiting: Mapping[tuple[str, str], int] = field(default_factory=dict)
    worker_up: bool = False
    workers: int = 0  # that are ready to compute
    worker_restarts: int = 0
    # The processes that run beside the API.
    processes: Mapping[ProcessRole, ProcessUsage] = field(default_factory=dict)


class Engine(Protocol):
    """Runs networks, in other processes than the API's."""

    async def start(self, *, wait_until_ready: bool) -> None:
        """Start the processes. Raises DeviceError if it waits and the device is missing."""

    async def infer(
        self,
        model: ModelRef,
        rows: Rows,
        outputs: Sequence[str],
        *,
        counted_as: tuple[str, str],
        timeout_s: float | None = None,
    ) -> Answer:
        """Compute outputs of a model, loading it first where it is not in memory.

        `counted_as` is the model's name and version, as statistics count it.
        Raises: EngineError, or a ZooError for what does not fit.
        """

    def check_admission(self) -> None:
        """Raises: EngineError if an inference that came now would be refused."""

    async def load(self, model: ModelRef) -> ModelState:
        """Load a model into memory and run it at each of its batch sizes."""

    async def unload(self, model: ModelRef) -> None:
        """Free a model's memory, once the batches that use it are done."""

    def state(self, model: ModelRef) -> ModelState:
        """Return the state of a model, at once."""

    async def read(self, task: ReadingTask[Result], buffers: Sequence[Buffer]) -> Reply[Result]:
        """Read what a client sent, in a process that holds nothing else."""

    async def trace(self, task: TracingTask[Result]) -> Reply[Result]:
        """Trace networks, in a process that stays for a while. Raises EngineError."""

    @property
    def tracers(self) -> int:
        """How many tracing tasks are done at once; others wait their turn."""

    @property
    def rows_of_trace(self) -> int:
        """How many rows a tracing task should have: few enough that sweeps take turns."""

    async def run(self, task: WorkerTask[Result]) -> Reply[Result]:
        """Do a task in the worker. Raises EngineError, or a ZooError for what does not fit."""

    def status(self) -> EngineStatus:
        """Return the state of the engine, at once."""

    def figures(self) -> EngineFigures:
        """Return what the metrics show, at once."""

    def stop_accepting(self) -> None:
        """Report not ready from now on; accepted requests are still completed."""

    async def close(self) -> None:
        """End the processes, and release the device."""


# Called with each batch that is computed: the name and the version of its model, its rows, and the
# seconds of its phases.
OnBatch = Callable[[tuple[str, str], int, Mapping[str, float]], None]
MakeEngine = Callable[[Settings, OnBatch], Engine]
