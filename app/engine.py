"""What the API asks of whatever runs networks, and the ways it can fail.

::

    EngineError                  the engine could not do what was asked; the request was in order
    ├── QueueFullError           too many requests wait already
    ├── WorkerDiedError          the worker ended during the request; the text says how
    ├── WorkerUnavailableError   no worker came up within the deadline; the text says why
    ├── OutOfMemoryError         the device or the machine has not enough memory
    ├── DeadlineError            the request waited or computed too long
    └── WorkerFaultError         a fault of ours in the worker; its log has the details
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from app.arrays import Array, Buffer

RuntimeName = Literal["auto", "tensorflow", "onnxruntime"]
Precision = Literal["float32", "bfloat16"]
ProcessRole = Literal["worker", "reader"]
WorkerState = Literal["starting", "ready", "restarting", "stopped"]
LoadState = Literal["unavailable", "loading", "ready", "unloading"]


class EngineError(Exception):
    """The engine could not do what was asked, though the request was in order."""


class QueueFullError(EngineError):
    """Too many requests wait already."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        self.retry_after_s = retry_after_s
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
    """The device that was asked for is not there; nothing can start."""


@dataclass(frozen=True, slots=True)
class Job:
    """Work of other kinds than inference: its name, small JSON-ready arguments, and buffers."""

    task: str
    arguments: Mapping[str, Any]
    buffers: Sequence[Buffer] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a job: a small JSON-ready result, raw buffers, and seconds by phase."""

    result: Mapping[str, Any]
    buffers: Sequence[Buffer]
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A build as it is to be run."""

    build: str
    spec: Mapping[str, Any]
    source_specs: Mapping[str, Any]  # of the builds that its weights come from, by id
    engine: RuntimeName = "auto"
    precision: Precision = "float32"
    pinned: bool = False
    estimated_bytes: int = 0

    @property
    def key(self) -> str:
        """What the engine holds it by."""
        return f"{self.build}-{self.engine}-{self.precision}"


@dataclass(frozen=True, slots=True)
class Warmed:
    """A batch size that the model was run at before it was ready: the first time, and the next."""

    rows: int
    seconds: float
    first_seconds: float


@dataclass(frozen=True, slots=True)
class ModelState:
    """Whether a model is in memory, and what was found when it came there."""

    state: LoadState = "unavailable"
    reason: str = ""
    size_bytes: int = 0
    engine: str | None = None
    precision: str | None = None
    warmed: tuple[Warmed, ...] = ()
    # How many batches are computed side by side, and the rows of several requests in one.
    lanes: int = 1
    batch_rows: int = 1
    difference: float | None = None
    measured: Mapping[str, float] = field(default_factory=dict)
    pinned: bool = False
    failed: bool = False  # the last load did, and `reason` says why


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch of inputs: float32, little-endian, row-major."""

    data: Buffer
    count: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Arrays by output, (rows, ...) each; seconds by phase; the rows of the whole batch."""

    arrays: Mapping[str, Array]
    seconds: Mapping[str, float]
    batch_rows: int


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """Whether work is done at once, and if not, why."""

    ready: bool
    state: WorkerState
    device: str | None
    restarts: int
    in_flight: int
    queued: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """Where the engine stands now; counts are since the service started."""

    models: int = 0  # in memory
    model_bytes: int = 0
    evictions: Mapping[str, int] = field(default_factory=dict)  # by one of a few reasons
    # Requests that wait for a place in a batch, by the model's name and version.
    waiting: Mapping[tuple[str, str], int] = field(default_factory=dict)
    worker_up: bool = False
    worker_restarts: int = 0
    # Ids of the processes that run beside the API.
    processes: Mapping[ProcessRole, tuple[int, ...]] = field(default_factory=dict)


class Engine(Protocol):
    """Runs networks somewhere that may import TensorFlow."""

    async def start(self, *, wait_until_ready: bool) -> None:
        """Begin. Raises DeviceError if it waits and the device is not there."""

    async def infer(
        self,
        model: ModelRef,
        rows: Rows,
        outputs: Sequence[str],
        *,
        label: tuple[str, str],
        timeout_s: float | None = None,
    ) -> Answer:
        """Compute outputs of a model, loading it first where it is not in memory.

        `label` is the model's name and version, as statistics count it.
        Raises: EngineError, or a ZooError for what does not fit.
        """

    def check_admission(self) -> None:
        """Raises: QueueFullError if an inference that came now would be refused."""

    async def load(self, model: ModelRef) -> ModelState:
        """Bring a model into memory and run it once at each of its batch sizes."""

    async def unload(self, model: ModelRef) -> None:
        """Give a model's memory back, when what runs on it is done."""

    def state(self, model: ModelRef) -> ModelState:
        """Return where a model stands, at once."""

    async def read(
        self, task: str, arguments: Mapping[str, Any], buffers: Sequence[Buffer]
    ) -> Reply:
        """Read what a client sent, in a process apart from everything else."""

    async def run(self, job: Job) -> Reply:
        """Do one job of the worker. Raises EngineError, or a ZooError for what does not fit."""

    def status(self) -> EngineStatus:
        """Return the state, at once."""

    def figures(self) -> EngineFigures:
        """Return what the metrics show, at once."""

    def stop_accepting(self) -> None:
        """Be not ready from now on; what was accepted is still done."""

    async def close(self) -> None:
        """End, and release the device."""
