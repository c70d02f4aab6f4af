"""Every message between the API and its child processes, as both sides know it.

A child receives the settings and sends `Ready` or `Refused`. Then it receives a `Call` for
each task, and sends a `CallResult` or a `CallFailure` for each call, in any order. No pickle: a
process that decodes images must not be able to run code in another one.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec.msgpack import Decoder, Encoder

from app.documents import MalformedJsonError
from app.engine import (
    DeviceName,
    ModelState,
    OutOfMemoryError,
    Precision,
    RuntimeName,
    WorkerFaultError,
    WorkerTask,
)
from app.store.errors import StoreError
from app.tasks import (
    IdentifyRows,
    MeasureProfile,
    MeasureSignal,
    ReadInputs,
    ReadOpenInference,
    ReadTensorFlowServing,
    SaveWeights,
    Specs,
    TraceRows,
)
from app.wording import clip
from model_zoo import InputError, Problem, WeightsError, ZooError

# The start ------------------------------------------------------------------------------------


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The process takes calls; `device` is that of a worker."""

    device: DeviceName | None = None


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The process cannot start, because the device is missing."""

    reason: str


# The local engine's own tasks; `app.tasks` has the others -------------------------------


class Load(WorkerTask[ModelState], frozen=True):
    """Load a model into memory, so that it can compute a row at a time.

    The state of an earlier load saves measuring what a precision changes again.

    `calibration` is the digest of the rows that calibrate int8.
    """

    model: str
    specs: Specs
    engine: RuntimeName
    precision: Precision
    known: ModelState | None
    calibration: str = ""


class WarmUp(WorkerTask[ModelState], frozen=True):
    """Run a model in memory at each of its batch sizes."""

    model: str


class Measure(WorkerTask[float], frozen=True):
    """Return the seconds that a row of a model takes; the buffer has outputs of noise, float32."""

    model: str


class Unload(WorkerTask[None], frozen=True):
    """Free the memory of a model."""

    model: str


class ArenaRows(msgspec.Struct, frozen=True, array_like=True):
    """Rows of one request in the arena."""

    offset: int
    count: int


class Compute(WorkerTask[tuple[tuple[int, ...], ...]], frozen=True):
    """Compute outputs of a batch; the result has the shape of each, its buffers the values."""

    model: str
    outputs: tuple[str, ...]
    rows: tuple[ArenaRows, ...]
    is_alone: bool


AnyWorkerTask = (
    Load | WarmUp | Measure | Unload | Compute | SaveWeights | MeasureProfile | MeasureSignal
)
AnyReadingTask = ReadInputs | ReadOpenInference | ReadTensorFlowServing
AnyTracingTask = IdentifyRows | TraceRows


# Calls ----------------------------------------------------------------------------------------

AnyTask = TypeVar("AnyTask")


class Call(msgspec.Struct, Generic[AnyTask], frozen=True, omit_defaults=True):
    """A task to be done; `about` are the fields of its request in the log."""

    id: int
    task: AnyTask
    about: Mapping[str, Any] = {}


class CallResult(msgspec.Struct, frozen=True, tag=True):
    """The result of a task, and the seconds that each phase took."""

    id: int
    result: msgspec.Raw  # of the type that the task names
    seconds: Mapping[str, float]


FailureKind = Literal["json", "input", "weights", "library", "store", "memory", "fault"]


class CallFailure(msgspec.Struct, frozen=True, tag=True):
    """Why a task was not done: the kind of the error, and its problems.

    Problems are JSON: they repeat what a client sent, which may be an integer of any length or a
    string that is no Unicode text.
    """

    id: int
    kind: FailureKind
    problems: bytes


_encoder = Encoder()
encode = _encoder.encode
first_message = Decoder(Ready | Refused).decode
worker_call = Decoder(Call[AnyWorkerTask]).decode
reading_call = Decoder(Call[AnyReadingTask]).decode
tracing_call = Decoder(Call[AnyTracingTask]).decode
answer_of_call = Decoder(CallResult | CallFailure).decode


# Errors ---------------------------------------------------------------------------------------

# The first class that fits an error is its kind.
_ERRORS: Mapping[FailureKind, type[Exception]] = {
    "json": MalformedJsonError,
    "input": InputError,
    "weights": WeightsError,
    "library": ZooError,
    "store": StoreError,
    "memory": OutOfMemoryError,
    "fault": WorkerFaultError,
}


def failure(call_id: int, error: Exception) -> CallFailure:
    """Return the message of an error that is of one of the kinds."""
    kind = next(kind for kind, base in _ERRORS.items() if isinstance(error, base))
    problems = error.problems if isinstance(error, ZooError) else (Problem(str(error)),)
    clipped = [asdict(replace(problem, received=clip(problem.received))) for problem in problems]
    return CallFailure(call_id, kind, json.dumps(clipped).encode())


def error_of(failure: CallFailure) -> Exception:
    """Return the error that a message describes."""
    problems = msgspec.convert(json.loads(failure.problems), tuple[Problem, ...])
    error = _ERRORS[failure.kind]
    if issubclass(error, ZooError):
        return error(*problems)
    return error(problems[0].message)
