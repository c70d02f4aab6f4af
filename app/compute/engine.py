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
from dataclasses import dataclass
from typing import Any, Literal, Protocol


class EngineError(Exception):
    """The engine could not do what was asked, though the request was in order."""


class QueueFullError(EngineError):
    """Too many requests wait already."""


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
    """One piece of work: its name, small JSON-ready arguments, and raw buffers."""

    task: Literal["predict", "save_weights"]
    arguments: Mapping[str, Any]
    buffers: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a job: a small JSON-ready result, raw buffers, and seconds by phase."""

    result: Mapping[str, Any]
    buffers: Sequence[bytes]
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """Whether work is done at once, and if not, why."""

    ready: bool
    state: Literal["starting", "ready", "restarting", "stopped"]
    device: str | None
    restarts: int
    in_flight: int
    queued: int
    reason: str | None


class Engine(Protocol):
    """Runs jobs somewhere that may import TensorFlow."""

    async def start(self, *, wait_until_ready: bool) -> None:
        """Begin. Raises DeviceError if it waits and the device is not there."""

    async def run(self, job: Job) -> Reply:
        """Do one job. Raises EngineError, or a ZooError for input that does not fit."""

    def status(self) -> EngineStatus:
        """Return the state, at once."""

    def stop_accepting(self) -> None:
        """Be not ready from now on; what was accepted is still done."""

    async def close(self) -> None:
        """End, and release the device."""
