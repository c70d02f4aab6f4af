"""The processes of a worker: one for both engines, or one for each, started when it is needed."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from app.compute.placement import Placement
from app.compute.supervisor import Supervisor
from app.engine import DeviceName, ModelRef, ProcessRole, RuntimeName, WorkerTask
from model_zoo import ZooError

# A process that starts again takes about a second, and TensorFlow's import some more.
_IDLE_SECONDS = 30.0
# TensorFlow keeps some memory of each network. A process is replaced before that is much.
_MOST_NETWORKS = 50
# Of the processes for one engine.
_ROLES: Mapping[RuntimeName, ProcessRole] = {
    "onnxruntime": "worker",
    "tensorflow": "tensorflow-worker",
}


@dataclass(frozen=True, slots=True)
class Resting:
    """When a process that has nothing to do ends: after some seconds, or some networks."""

    idle_s: float | None = None
    networks: int | None = None


class EngineProcess:
    """A process that loads networks and does tasks; `has_work` tells whether more waits for it."""

    def __init__(
        self, supervisor: Supervisor, resting: Resting, has_work: Callable[["EngineProcess"], bool]
    ) -> None:
        self.supervisor = supervisor
        self._resting = resting
        self._has_work = has_work
        self._uses = 0
        self._networks = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def device(self) -> DeviceName:
        """The device; before the process has told it, that of a process for one engine."""
        return self.supervisor.device or "cpu"

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Keep the process, which holds a network for a task, or loads it."""
        self._uses += 1
        self._networks += 1
        try:
            yield
        finally:
            self._uses -= 1
            self.rest_if_idle()

    def rest_if_idle(self) -> None:
        """End the process if it has nothing to do, at once or when that lasts."""
        if not self._is_idle():
            self._cancel_timer()
        elif self._resting.networks and self._networks >= self._resting.networks:
            self._rest()
        elif self._resting.idle_s and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._resting.idle_s, self._rest)

    def _is_idle(self) -> bool:
        return self.supervisor.is_running and not self._uses and not self._has_work(self)

    def _rest(self) -> None:
        self._cancel_timer()
        if self._is_idle():
            self._networks = 0
            self.supervisor.rest()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def close(self) -> None:
        """End the process for good."""
        self._cancel_timer()
        await self.supervisor.close()


class Processes:
    """The processes of one worker, by the engine that each has; the default starts at once."""

    def __init__(
        self,
        placement: Placement,
        by_engine: Mapping[RuntimeName, EngineProcess],
        default: RuntimeName,
    ) -> None:
        self._placement = placement
        self._by_engine = by_engine
        self.default = by_engine[default]

    @classmethod
    def on_device(
        cls,
        placement: Placement,
        make: Callable[[ProcessRole, Resting], EngineProcess],
        default: RuntimeName,
        *,
        may_have_gpu: bool,
    ) -> "Processes":
        """Return the processes of a worker: without a GPU, TensorFlow has one of its own."""
        if may_have_gpu:
            both = make("worker", Resting())
            return cls(placement, {"onnxruntime": both, "tensorflow": both}, "tensorflow")
        default = "tensorflow" if default == "tensorflow" else "onnxruntime"
        rules: dict[RuntimeName, Resting] = {
            "onnxruntime": Resting(_IDLE_SECONDS),
            "tensorflow": Resting(_IDLE_SECONDS, _MOST_NETWORKS),
        }
        rules[default] = replace(rules[default], idle_s=None)
        by_engine = {engine: make(_ROLES[engine], rule) for engine, rule in rules.items()}
        return cls(placement, by_engine, default)

    def __iter__(self) -> Iterator[EngineProcess]:
        return iter(dict.fromkeys(self._by_engine.values()))

    def of_model(self, ref: ModelRef) -> EngineProcess:
        """Return the process that loads a model."""
        return self._by_engine[self.engine_for(ref)]

    def engine_for(self, ref: ModelRef) -> RuntimeName:
        """Return the engine that computes a model."""
        return self._placement.engine(ref, self.default.device)

    def may_try_tensorflow(self, ref: ModelRef) -> bool:
        """Return whether TensorFlow may compute a model faster, and has not been tried."""
        return self._placement.may_try_tensorflow(ref, self.default.device)

    def decide(self, ref: ModelRef, engine: RuntimeName) -> None:
        """Remember which engine computes a model that may run on both."""
        self._placement.decide(ref, engine)

    @property
    def tensorflow(self) -> EngineProcess:
        """The process that has TensorFlow."""
        return self._by_engine["tensorflow"]

    def of_task(self, task: WorkerTask[Any]) -> EngineProcess:
        """Return the process that does a task."""
        engine = self._placement.of_task(task, self.default.device)
        return self._by_engine[engine] if engine else self.default

    def with_engine(self, task: WorkerTask[Any]) -> WorkerTask[Any]:
        """Return a task with the engine that does it."""
        return self._placement.with_engine(task, self.default.device)

    def learns(self, failed: object, error: ZooError) -> bool:
        """Return whether an error says that what was asked for needs the other engine."""
        return self._placement.learns(failed, self.default.device, error)

    def rest_if_idle(self) -> None:
        """End each process that has had nothing to do for long enough."""
        for process in self:
            process.rest_if_idle()
