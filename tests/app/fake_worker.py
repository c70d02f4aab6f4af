"""A worker process that is not one: it computes what a test says, when the test says so."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from app.compute.device_worker import WorkerProcess as Real
from app.compute.frames import Frame
from app.compute.local import LocalEngine
from app.compute.process import WorkerGoneError
from app.settings import Settings

FACTS = {
    "engine": "onnxruntime",
    "precision": "float32",
    "measured": {},
    "difference": None,
    "warmed": [{"rows": rows, "seconds": 0.1, "first_seconds": 0.1} for rows in (1, 2, 4)],
    "size_bytes": 100,
    "lanes": 1,
    "batch_rows": 4,
}
Behaviour = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any] | None]]


class FakeProcess:
    """Answers calls as its behaviour says; None lets the process die of the call."""

    pids = itertools.count(1)

    def __init__(self, behaviour: Behaviour, calls: list[tuple[str, Any]]) -> None:
        self.pid = next(self.pids)
        self._behaviour = behaviour
        self._calls = calls
        self._answers: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = "was killed by SIGKILL"

    async def send(self, frame: Frame) -> None:
        if "task" not in frame.header:  # the configuration
            self._answers.put_nowait(Frame({"device": "cpu"}))
            return
        task = asyncio.create_task(self._answer(frame.header))
        self._tasks.add(task)

    async def _answer(self, header: Any) -> None:
        task, arguments = header["task"], header["arguments"]
        self._calls.append((task, arguments))
        said = await self._behaviour(task, arguments)
        if said is None:
            self._answers.put_nowait(None)
            return
        buffers = said.pop("buffers", ())
        self._answers.put_nowait(Frame({"id": header["id"], "seconds": {}, **said}, buffers))

    async def receive(self) -> Frame:
        frame = await self._answers.get()
        if frame is None:
            raise WorkerGoneError(self._ending)
        return frame

    async def wait(self) -> str:
        return self._ending

    def kill(self, reason: str | None = None) -> None:
        self._ending = reason or self._ending
        self._answers.put_nowait(None)

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()


async def obey(task: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Load everything, and answer each row with a vector of two zeros."""
    if task == "load":
        return {"result": dict(FACTS)}
    if task == "compute":
        rows = sum(count for _, count in arguments["rows"])
        output = np.zeros((rows, 2), np.float32)
        return {
            "result": {"shapes": [[rows, 2] for _ in arguments["outputs"]]},
            "buffers": [output.tobytes() for _ in arguments["outputs"]],
        }
    return {"result": {}}


def refused(kind: str, message: str) -> dict[str, Any]:
    """Return the answer of a process that refuses a job."""
    problem = {"message": message, "pointer": "", "received": None, "suggestion": None}
    return {"error": {"kind": kind, "problems": [problem]}}


def run_with(
    monkeypatch: pytest.MonkeyPatch,
    behaviour: Behaviour,
    test: Callable[[LocalEngine, list[tuple[str, Any]]], Awaitable[None]],
    **settings: Any,
) -> None:
    """Run a test against an engine whose workers behave so; it gets the calls as they come."""
    calls: list[tuple[str, Any]] = []

    async def spawn(*_args: Any, **_options: Any) -> FakeProcess:
        return FakeProcess(behaviour, calls)

    monkeypatch.setattr(Real, "spawn", spawn)

    async def run() -> None:
        engine = LocalEngine(Settings(device="cpu", **settings))
        await engine.start(wait_until_ready=True)
        try:
            async with asyncio.timeout(30):
                await test(engine, calls)
        finally:
            await engine.close()

    asyncio.run(run())
