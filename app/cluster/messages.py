"""What crosses between the API and the workers of a cluster, and what it needs of a cluster.

All of it is pickled, as Ray does with everything: whoever can reach a cluster can run code on it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from app.engine import Answer, EngineFigures, EngineStatus, ModelState, Reply, Result, TracingTask

STARTING = EngineStatus(False, "starting", None, 0, 0, 0, None)


class WorkerLostError(Exception):
    """A worker cannot be reached; the text says how: it is a sentence without its subject.

    If it is dead, it does not come back; else it may.
    """

    def __init__(self, message: str, *, is_dead: bool = False) -> None:
        self.is_dead = is_dead
        super().__init__(message)


class BatchRecord(NamedTuple):
    """A batch that was computed, as statistics count it."""

    counted_as: tuple[str, str]
    rows: int
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a value: raised through Ray, it would be wrapped in a traceback."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker says when it has started: its version, and whether it sees ZOO_HOME."""

    version: str
    shares_home: bool


@dataclass(frozen=True, slots=True)
class Computed:
    """An answer, and the batches since the last message; the model's state where it was asked."""

    answer: Answer
    batches: Sequence[BatchRecord]
    state: ModelState | None


@dataclass(frozen=True, slots=True)
class Report:
    """The answer to a ping: how a worker is, its models by key, and the batches since the last."""

    status: EngineStatus = STARTING
    figures: EngineFigures = field(default_factory=EngineFigures)
    states: Mapping[str, ModelState] = field(default_factory=dict)
    batches: Sequence[BatchRecord] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is alive: its processors, and whether it is marked to have a worker."""

    id: str
    host: str
    cpus: int
    gpus: int = 0
    is_marked: bool = False


class WorkerHandle(Protocol):
    """A worker as the engine sees it."""

    def call(
        self, method: str, *arguments: Any, pieces: Sequence[bytes] = ()
    ) -> "asyncio.Future[Any]":
        """Call a method of `NodeWorker`; cancelling the future cancels the call.

        `pieces` are more arguments, which are not pickled.

        The future raises what the method raised or returned as a `Failure`, or WorkerLostError.
        """

    def kill(self) -> None:
        """End the worker at once."""


class Cluster(Protocol):
    """Nodes, and processes on them."""

    async def connect(self) -> None:
        """Join the cluster. Raises: SettingsError if that is not possible."""

    async def nodes(self) -> Sequence[Node]:
        """Return the nodes that may have a worker now."""

    def start_worker(self, node: Node) -> WorkerHandle:
        """Start a worker on a node."""

    async def trace(self, task: TracingTask[Result]) -> Reply[Result]:
        """Trace rows on any node. Raises: EngineError."""

    async def close(self) -> None:
        """Leave the cluster; what was started there ends."""
