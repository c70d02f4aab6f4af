"""A cluster that is none: its workers answer as a test says, and are lost when it says."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import idle_time
import numpy as np
import pytest
from idle_time import until

from app.cluster import members
from app.cluster.messages import Computed, Failure, Hello, Node, Report, WorkerLostError
from app.cluster.ray_engine import RayEngine
from app.engine import Answer, EngineStatus, ModelRef, ModelState, Reply, Rows
from app.settings import Settings
from app.version import VERSION

READY = EngineStatus(True, "ready", "cpu", 0, 0, 0, None)
LOADED = ModelState("ready", size_bytes=100, engine="onnxruntime", warmed=(1, 2))
Counted = list[tuple[tuple[str, str], int, Any]]


@dataclass(eq=False)
class FakeWorker:
    """A worker; `does` answers the calls of a method, and returns what the call returns."""

    node: Node
    hello: Hello
    does: dict[str, Callable[..., Awaitable[Any]]] = field(default_factory=dict)
    report: Report = field(default_factory=lambda: Report(READY))
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    cancelled: int = 0
    is_frozen: bool = False
    is_killed: bool = False
    death: WorkerLostError | None = None

    def call(
        self, method: str, *arguments: Any, pieces: Sequence[bytes] = ()
    ) -> "asyncio.Future[Any]":
        arguments = (*arguments, *pieces)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.calls.append((method, *arguments))
        task = asyncio.ensure_future(self._answer(future, method, arguments))
        future.add_done_callback(lambda done: self._given_up(done, task))
        return future

    def _given_up(self, future: "asyncio.Future[Any]", task: "asyncio.Task[None]") -> None:
        if future.cancelled() and not task.done():
            self.cancelled += 1
            task.cancel()

    async def _answer(
        self, future: "asyncio.Future[Any]", method: str, arguments: tuple[Any, ...]
    ) -> None:
        try:
            while self.is_frozen:
                await asyncio.sleep(0.001)
            if self.death is not None:
                raise self.death
            value = await self.does.get(method, getattr(self, f"_{method}"))(*arguments)
        except Exception as error:
            value = Failure(error)
        if not future.done():
            if isinstance(value, Failure):
                future.set_exception(value.error)
            else:
                future.set_result(value)

    def kill(self) -> None:
        self.is_killed = True

    def die(self) -> None:
        self.death = WorkerLostError("has ended", is_dead=True)

    def done(self, method: str) -> list[tuple[Any, ...]]:
        """The arguments of the calls of a method."""
        return [call[1:] for call in self.calls if call[0] == method]

    @property
    def loaded(self) -> list[str]:
        """The keys of the models that were loaded, in their order."""
        return [model.key for _, model in self.done("load")]

    async def _start(self) -> Hello:
        return self.hello

    async def _ping(self) -> Report:
        return self.report

    async def _load(self, about: Any, model: ModelRef) -> ModelState:
        self.knows(model.key, LOADED)
        return LOADED

    async def _unload(self, about: Any, model: ModelRef) -> None:
        states = {key: each for key, each in self.report.states.items() if key != model.key}
        self.report = replace(self.report, states=states)

    def knows(self, key: str, state: ModelState) -> None:
        self.report = replace(self.report, states={**self.report.states, key: state})

    async def _infer(
        self, about: Any, model: ModelRef, outputs: Any, count: int, *options: Any
    ) -> Computed:
        self.knows(model.key, LOADED)
        zeros = np.zeros((count, 2), np.float32)
        return Computed(Answer(dict.fromkeys(outputs, zeros), {}, count), (), LOADED)

    async def _run(self, about: Any, task: Any) -> Reply[Any]:
        return Reply(self.node.id)

    async def _close(self) -> None:
        pass


class FakeCluster:
    """Nodes a, b, ...; the first of them is the machine of the API."""

    def __init__(self, count: int) -> None:
        self.there = [Node(name, f"host-{name}", 2) for name in "abcdef"[:count]]
        self.workers: list[FakeWorker] = []
        self.version = VERSION
        self.sharing = {"a"}
        self.does: dict[str, Callable[..., Awaitable[Any]]] = {}
        self.traced: list[Any] = []
        self.is_connected = False

    async def connect(self) -> None:
        self.is_connected = True

    async def nodes(self) -> Sequence[Node]:
        return self.there

    def start_worker(self, node: Node) -> FakeWorker:
        hello = Hello(self.version, node.id in self.sharing)
        self.workers.append(FakeWorker(node, hello, dict(self.does)))
        return self.workers[-1]

    async def trace(self, task: Any) -> Reply[Any]:
        self.traced.append(task)
        await task
        return Reply(b"[]")

    async def close(self) -> None:
        self.is_connected = False

    def of(self, node: str) -> FakeWorker:
        """The newest worker of a node."""
        return [worker for worker in self.workers if worker.node.id == node][-1]


def run_on(
    monkeypatch: pytest.MonkeyPatch,
    test: Callable[[RayEngine, FakeCluster, Counted], Awaitable[None]],
    *,
    cluster: FakeCluster | None = None,
    up: int | None = None,
    **settings: Any,
) -> None:
    """Run a test against an engine on a cluster, once its workers are up: all, or some."""
    monkeypatch.setattr(members, "PING_EVERY_S", 0.002)
    monkeypatch.setattr(members, "PING_LIMIT_S", 0.05)
    monkeypatch.setattr(members, "_LOOK_EVERY_S", 0.002)

    folder = Path(tempfile.mkdtemp())

    async def run() -> None:
        nodes = cluster or FakeCluster(2)
        counted: Counted = []
        settings.setdefault("home", folder)
        read = Settings.model_validate(settings)
        engine = RayEngine(read, lambda *batch: counted.append(batch), nodes, "token")
        monkeypatch.setattr(engine._readers, "start", lambda: None)
        await engine.start(wait_until_ready=False)
        try:
            async with asyncio.timeout(30):
                count = len(nodes.there) if up is None else up
                await until(lambda: len(engine._members.up) == count)
                await test(engine, nodes, counted)
        finally:
            await engine.close()

    try:
        idle_time.run(run())
    finally:
        shutil.rmtree(folder)


def ref(name: str = "m", *, pinned: bool = False, **options: Any) -> ModelRef:
    return ModelRef(name, {"weights": []}, {}, pinned=pinned, **options)


async def ask(engine: RayEngine, model: ModelRef, **options: Any) -> Answer:
    rows = Rows(np.zeros((1, 4), np.float32).tobytes(), 1)
    return await engine.infer(model, rows, ("output",), counted_as=(model.build, "1"), **options)
