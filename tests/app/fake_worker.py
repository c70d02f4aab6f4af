"""A worker process that is not one: it computes what a test says, when the test says so."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn

import idle_time
import numpy as np
import pytest
from msgspec import Raw, msgpack

from app.compute import local_engine
from app.compute.child_process import ChildProcess, ProcessGoneError
from app.compute.frames import Frame
from app.compute.local_engine import LocalEngine
from app.compute.messages import (
    AnyWorkerTask,
    Call,
    CallResult,
    Compute,
    Load,
    Ready,
    encode,
    failure,
    reading_call,
    worker_call,
)
from app.compute.reader.reader_tasks import ReaderTasks
from app.engine import DeviceName, ModelState, ReadingTask, Reply, Result
from app.settings import Settings

LOADED = ModelState(
    "ready",
    size_bytes=100,
    engine="onnxruntime",
    precision="float32",
    warmed=(1, 2, 4),
    batch_rows=4,
)
Calls = list[AnyWorkerTask]
# Returns the answer to a task, raises the error of one, or lets the process die of it: None.
Behaviour = Callable[[Any], Awaitable[Reply[Any] | None]]


class FakeProcess:
    """Answers calls as its behaviour says."""

    pids = itertools.count(1)

    def __init__(self, behaviour: Behaviour, calls: Calls, device: DeviceName = "cpu") -> None:
        self.pid = next(self.pids)
        self._behaviour = behaviour
        self._calls = calls
        self._device: DeviceName = device
        self._is_configured = False
        self._answers: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = "was killed by SIGKILL"

    def post(self, frame: Frame) -> None:
        if not self._is_configured:
            self._is_configured = True
            self._answers.put_nowait(Frame(encode(Ready(self._device))))
            return
        self._tasks.add(asyncio.create_task(self._answer(frame.message)))

    async def _answer(self, message: bytes) -> None:
        call = worker_call(message)
        self._calls.append(call.task)
        try:
            reply = await self._behaviour(call.task)
        except Exception as error:
            self._answers.put_nowait(Frame(encode(failure(call.id, error))))
            return
        if reply is None:
            self._answers.put_nowait(None)
            return
        result = CallResult(call.id, Raw(encode(reply.result)), reply.seconds)
        self._answers.put_nowait(Frame(encode(result), reply.buffers))

    async def drain(self) -> None:
        pass

    async def first(self) -> Frame:
        frame = await self._answers.get()
        if frame is None:
            raise ProcessGoneError(self._ending)
        return frame

    async def listen(self, on_frame: Callable[[Frame], None]) -> NoReturn:
        while True:
            on_frame(await self.first())

    async def wait(self) -> str:
        return self._ending

    def kill(self, reason: str | None = None) -> None:
        self._ending = reason or self._ending
        self._answers.put_nowait(None)

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()


async def obey(task: AnyWorkerTask) -> Reply[Any]:
    """Load everything, and answer each row with a vector of two zeros."""
    if isinstance(task, Load):
        return Reply(LOADED)
    if isinstance(task, Compute):
        rows = sum(part.count for part in task.rows)
        output = np.zeros((rows, 2), np.float32)
        shapes = tuple(output.shape for _ in task.outputs)
        return Reply(shapes, [output.tobytes() for _ in task.outputs])
    return Reply(None)


def in_reader(task: ReadingTask[Result], buffers: Sequence[bytes]) -> Reply[Result]:
    """Do a task as a reader does, with all messages as bytes."""
    call = reading_call(encode(Call(1, task)))
    reply = ReaderTasks(Settings()).run(call.task, buffers)
    result: Result = msgpack.decode(encode(reply.result), type=task.result_type())
    return Reply(result, reply.buffers, reply.seconds)


def run_with(
    monkeypatch: pytest.MonkeyPatch,
    behaviour: Behaviour,
    test: Callable[[LocalEngine, Calls], Awaitable[None]],
    *,
    device: DeviceName | None = None,
    tensorflow: Behaviour | None = None,
    **settings: Any,
) -> None:
    """Run a test against an engine whose workers behave so; it gets the calls as they come.

    With a device, there may be a GPU, and the workers find that device. TensorFlow's own process
    may behave differently.
    """
    calls: Calls = []

    async def spawn(*_args: Any, arguments: Sequence[str] = (), **_options: Any) -> FakeProcess:
        is_tensorflow = tensorflow is not None and "tensorflow-worker" in arguments
        return FakeProcess(tensorflow if is_tensorflow else behaviour, calls, device or "cpu")

    monkeypatch.setattr(local_engine, "may_have_gpu", lambda _: device is not None)
    monkeypatch.setattr(local_engine, "_gpus", lambda _: [None])
    monkeypatch.setattr(ChildProcess, "spawn", spawn)

    async def run() -> None:
        engine = LocalEngine(Settings(device="auto" if device else "cpu", **settings))
        await engine.start(wait_until_ready=True)
        try:
            async with asyncio.timeout(30):
                await test(engine, calls)
        finally:
            await engine.close()

    idle_time.run(run())
